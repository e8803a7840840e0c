"""The clocks of this host and of PostgreSQL's."""

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import psycopg

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


def seconds_ahead(connection: Connection, now: Callable[[], float] = time.time) -> float:
    """Return how far the clock of this host is at least ahead of the server's; negative if it is behind.

    Parameters
    ----------
    connection : `psycopg.Connection`
    now : callable
        The clock of this host, seconds since 1970.

    Returns
    -------
    seconds : `float`
        Zero if they may agree: the answer takes its time.
    """
    before = now()
    ((server,),) = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchall()
    after = now()
    return float(max(0.0, before - server) + min(0.0, after - server))
