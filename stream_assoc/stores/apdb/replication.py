"""How a database notes what replicas have to copy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Replication:
    """How rows are noted for replication to the PPDB.

    Attributes
    ----------
    chunk_seconds : `int`
        Length of a replica chunk, as in dax_apdb's configuration, at most 600:
        a longer one may be copied before it has ended.
    lag_seconds : `float`
        How far behind a replica may be: what was noted in a chunk that has
        not changed for longer counts as copied.
    monotonic : callable
        A clock that never goes back, seconds.
    now : callable
        Seconds since 1970, by which Cassandra's backend tells which chunks are over.
    """

    chunk_seconds: int = 600
    lag_seconds: float = 86400.0
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time


DEFAULT_REPLICATION: Final = Replication()
