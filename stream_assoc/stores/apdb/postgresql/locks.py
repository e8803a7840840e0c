"""Locks on cells of the sky: PostgreSQL's advisory locks, of which a server has only so many.

All sessions of a server share one table of locks, of about
``max_locks_per_transaction * (max_connections + max_prepared_transactions)``
entries. Each cell that a session holds is one of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import psycopg
from psycopg import errors

from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import LocksExhaustedError
from stream_assoc.stores.apdb.postgresql.column_query import array_literal
from stream_assoc.stores.apdb.sql.statements import DATABASE_CELL

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_MAX_CELL: Final = 2**31
"""An advisory lock's second key is an int4, which HTM indices fit up to level 13."""

_LOCK: Final = """
    SELECT CASE WHEN cell = %s THEN pg_advisory_lock_shared(%s, cell) ELSE pg_advisory_lock(%s, cell) END
    FROM unnest(%s::int[]) AS cell
"""

_LIMIT_IDLENESS: Final = """
    SELECT CASE WHEN current_setting('idle_session_timeout', true) IS NOT NULL
    THEN set_config('idle_session_timeout', %s, false) END
"""
"""Of this session. A server before version 14 does not know the setting."""


@dataclass(frozen=True, slots=True)
class LockTable:
    """How many locks a server has room for.

    Attributes
    ----------
    size : `int`
        Of all its sessions together.
    fair_share : `int`
        In each, if all take as many.
    """

    size: int
    fair_share: int

    @classmethod
    def of(cls, connection: Connection) -> "LockTable":
        """Ask the server."""
        (row,) = connection.execute(
            "SELECT current_setting('max_locks_per_transaction')::int * (current_setting('max_connections')::int "
            "+ current_setting('max_prepared_transactions')::int), current_setting('max_locks_per_transaction')::int"
        )
        return cls(*row)


def lock_cells(cells: IntArray, connection: Connection, lock_class: int, idle_seconds: float) -> None:
    """Wait for, then hold, an advisory lock for each cell, to the end of the session.

    The server ends the session if nothing comes from this process for some
    time: kernels keep the connection of a process that stands still alive.

    Parameters
    ----------
    cells : `numpy.ndarray` [int64]
        HTM indices.
    connection : `psycopg.Connection`
        In autocommit mode.
    lock_class : `int`
        First key of the locks; the same for all who write to one APDB.
    idle_seconds : `float`
        How long this session may ask for nothing.
    """
    keys = np.unique(cells)
    if len(keys) and (keys[0] < 0 or keys[-1] >= _MAX_CELL):
        raise ValueError("cells must be HTM indices of level 13 or coarser")
    # Sorted, so that two sessions that want the same cells never wait for each other in a circle.
    connection.execute(_LOCK, (DATABASE_CELL, lock_class, lock_class, array_literal(np.append(DATABASE_CELL, keys))))
    connection.execute(_LIMIT_IDLENESS, (f"{max(1, round(1000 * idle_seconds))}ms",))


def unlock_cells(connection: Connection) -> None:
    """Give all cells back. From now on the session may ask for nothing as long as it likes."""
    connection.execute("SELECT pg_advisory_unlock_all()")
    connection.execute(_LIMIT_IDLENESS, ("0",))


@contextmanager
def room_for(cells: IntArray, connection: Connection, table: LockTable) -> Iterator[None]:
    """Lock these cells in the block.

    Raises
    ------
    LocksExhaustedError
        If the server has no room for so many locks. None of them is held then.
    """
    try:
        yield
    except errors.OutOfMemory as error:
        # Those it did get stay: without room for one lock more, nobody can open a session until they are given back.
        connection.execute("SELECT pg_advisory_unlock_all()")
        message = (
            f"PostgreSQL has no room for locks on {len(cells)} cells of the sky: its lock table holds about "
            f"{table.size} of all its sessions together. Raise max_locks_per_transaction there, or lower "
            "daemon.micro_batch_cells and batch.max_cells"
        )
        raise LocksExhaustedError(message, len(cells), table.fair_share) from error
