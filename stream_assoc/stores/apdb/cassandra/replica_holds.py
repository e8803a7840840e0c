"""Holds: rows that keep lsst-dax-ppdb from copying a replica chunk into which a plan may yet be written.

A replicator copies chunks in ascending order, and ends at one that has changed lately. A hold stands just before a
chunk, and has changed in a year to come. It is there before anything is committed into the chunk, and goes when
nobody can choose the chunk any more and every group that has chosen it is applied, or can never be
committed. So it stays when all daemons are dead.
"""

import datetime
from collections.abc import Callable
from typing import Final
from uuid import UUID

from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.rows.chunks import OPEN_SECONDS

CHUNKS: Final = "ApdbReplicaChunks"
NEVER: Final = datetime.datetime(3000, 1, 1, tzinfo=datetime.UTC)

_AT_ONCE: Final = 8
_SINCE: Final = (
    f'SELECT apdb_replica_chunk, last_update_time, WRITETIME(last_update_time) FROM "{CHUNKS}" '
    "WHERE partition = 0 AND apdb_replica_chunk >= ?"
)
_UNTIL: Final = (
    f'SELECT apdb_replica_chunk, last_update_time FROM "{CHUNKS}" WHERE partition = 0 AND apdb_replica_chunk <= ? '
    f"ORDER BY apdb_replica_chunk DESC LIMIT {_AT_ONCE}"
)
_HOLD: Final = (
    f'INSERT INTO "{CHUNKS}" (partition, apdb_replica_chunk, last_update_time, unique_id) VALUES (0, ?, ?, ?)'
)
_RELEASE: Final = f'DELETE FROM "{CHUNKS}" USING TIMESTAMP ? WHERE partition = 0 AND apdb_replica_chunk = ?'


class ReplicaHolds:
    """Holds chunks, and releases them.

    Parameters
    ----------
    connection : `Connection`
    applier : `Applier`
        Tells which groups have yet to be applied, and into which chunks.
    now : callable
        Seconds since 1970.
    """

    def __init__(self, connection: Connection, applier: Applier, now: Callable[[], float]) -> None:
        self._connection = connection
        self._applier = applier
        self._now = now
        self._held: int | None = None
        self._begin = 0

    def hold(self, chunk: int) -> None:
        """Hold a chunk that has just been chosen; when this returns a quorum knows."""
        if chunk != self._held:
            self._connection.write(_HOLD, chunk - 1, NEVER, UUID(int=0))
            self._held = chunk

    def release(self) -> list[int]:
        """Release the chunks that may be copied, once what was left unfinished is finished; return the others."""
        now = self._now()
        rows = self._connection.read(_SINCE, self._begin)
        holds = {hold: written for hold, changed, written in rows if _is_hold(changed)}
        # Read after the holds: whoever has chosen a chunk that is over was announced long before.
        waiting = frozenset(self._applier.unfinished().values())
        released = [hold for hold in holds if is_over(hold + 1, now) and hold + 1 not in waiting]
        times = [max(int(now * 1e6), holds[hold] + 1) for hold in released]
        self._connection.write_each(_RELEASE, zip(times, released, strict=True))
        kept = sorted(holds.keys() - set(released))
        self._begin = min([int(now) - 2 * OPEN_SECONDS, *kept])
        return [hold + 1 for hold in kept]


def chunks_since(connection: Connection, begin: int) -> list[int]:
    """Return the chunks that begin at a time or later, seconds since 1970 TAI."""
    return [chunk for chunk, changed, _ in connection.read(_SINCE, begin) if not _is_hold(changed)]


def newest_chunk(connection: Connection, until: int) -> int | None:
    """Return the newest chunk that begins at a time or before it; `None` if there is none."""
    while rows := connection.read(_UNTIL, until):
        for chunk, changed in rows:
            if not _is_hold(changed):
                return int(chunk)
        until = rows[-1][0] - 1
    return None


def is_over(chunk: int, now: float) -> bool:
    """Tell whether nothing is about to be committed into a chunk any more, at a time in seconds since 1970."""
    return chunk + OPEN_SECONDS < now


def _is_hold(changed: datetime.datetime | None) -> bool:
    return changed is not None and changed.replace(tzinfo=datetime.UTC) == NEVER
