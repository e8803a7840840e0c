"""Poolers between us and PostgreSQL: told by whether a session is ours alone.

A batch's cells are locked by a session, its settings are those of a session,
and its rows must be written by that one. A pooler that gives each transaction
another session (PgBouncer's ``pool_mode`` transaction or statement) breaks all
three without an error: two daemons would hold one cell.
"""

from typing import Any, Final

import psycopg

from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError

_BACKEND: Final = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"

_REMEDY: Final = (
    "the locks of a batch would be held by one session and its rows written by another. Let apdb.url lead to the "
    "server itself, or to a pool with pool_mode = session"
)


def check_sessions_are_own(connection: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> None:
    """Tell whether two connections, both open and without a transaction, have each a session of its own.

    Asked in this order, a pooler that shares them is seen however it chooses:
    the same session again gives it to both, another one to one of them.

    Raises
    ------
    ApdbConfigurationError
        If they have not.
    """
    first, *others = (_backend(asked) for asked in (connection, other, other, connection, connection))
    if others[0] == first or others != [others[0], others[0], first, first]:
        raise ApdbConfigurationError(
            "apdb.url leads to a pooler that shares sessions among its clients (PgBouncer with pool_mode = "
            f"transaction or statement): {_REMEDY}"
        )


def check_backend(expected: int, actual: int) -> None:
    """Tell whether a statement ran in the session that it should have.

    Parameters
    ----------
    expected, actual : `int`
        What ``pg_backend_pid()`` said when the connection was made, and says now.

    Raises
    ------
    ApdbConfigurationError
        If it did not.
    """
    if actual != expected:
        raise ApdbConfigurationError(
            "a pooler between this process and PostgreSQL (apdb.url) has given its connection another session: "
            f"{_REMEDY}"
        )


def _backend(connection: psycopg.Connection[Any]) -> tuple[Any, ...] | None:
    return connection.execute(_BACKEND).fetchone()
