"""The update records of other programs: on Cassandra nothing else tells that they have changed rows.

``lsst.dax.apdb`` notes a record for each row that it reassigns, withdraws or
closes, in the replica chunk of the time when its call began, and writes it when the call ends. So
records are told apart by their names, not by time, and the last chunks are
read again for as long as a call may take.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.replica_holds import chunks_since
from stream_assoc.stores.apdb.cassandra.tables import CURSOR
from stream_assoc.stores.apdb.rows.chunks import MAX_CHUNK_SECONDS
from stream_assoc.stores.apdb.rows.tables import UPDATES

CALL_SECONDS: Final = 3600
"""How long a call of another program may take from its beginning until its records are written."""

_OURS: Final = b"s_assoc\x00"
"""How the unique identifiers of our own records end."""

_CURSOR: Final = f"SELECT chunk FROM \"{CURSOR}\" WHERE name = 'update records'"
_MOVE_CURSOR: Final = f"INSERT INTO \"{CURSOR}\" (name, chunk) VALUES ('update records', ?) USING TIMESTAMP ?"
_RECORDS: Final = (
    f'SELECT update_time_ns, update_order, update_unique_id, update_payload FROM "{UPDATES}" '
    "WHERE apdb_replica_chunk = ? AND apdb_replica_subchunk IN ?"
)
Name = tuple[int, int, uuid.UUID]
"""Time in nanoseconds, order and unique identifier: what tells records apart."""


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """What another program has changed.

    Attributes
    ----------
    name : `tuple`
    kind : `str`
        dax_apdb's name of it, such as ``withdraw_diasource``.
    values : `dict`
        Its other fields.
    """

    name: Name
    kind: str
    values: dict[str, Any]


class UpdateLog:
    """Reads the records of an APDB, each once in the life of a process.

    Parameters
    ----------
    connection : `Connection`
    n_subchunks : `int`
        Partitions of a replica chunk.
    now : callable
        Seconds since 1970.
    """

    def __init__(self, connection: Connection, n_subchunks: int, now: Callable[[], float]) -> None:
        self._connection = connection
        self._subchunks = list(range(n_subchunks))
        self._now = now
        self._begin: int | None = None
        self._seen: dict[Name, int] = {}

    def new_records(self) -> list[UpdateRecord]:
        """Return the records of other programs that have not been returned yet, in the order of their names."""
        if self._begin is None:
            rows = self._connection.read(_CURSOR)
            self._begin = rows[0][0] if rows else 0
        chunks = chunks_since(self._connection, self._begin)
        answers = self._connection.read_each(_RECORDS, [(chunk, self._subchunks) for chunk in chunks])
        found: list[UpdateRecord] = []
        for chunk, rows in zip(chunks, answers, strict=True):
            for *name, payload in rows:
                key = (name[0], name[1], name[2])
                if key not in self._seen:
                    self._seen[key] = chunk
                    if not is_ours(key[2]):
                        found.append(_record(key, payload))
        return sorted(found, key=lambda record: record.name)

    def pass_by(self) -> None:
        """Note that what `new_records` has returned need not be read again, by no process, but for the last chunks.

        Called once what the records say is noted at a quorum.
        """
        begin = int(self._now()) - CALL_SECONDS - MAX_CHUNK_SECONDS
        if self._begin is None or begin < self._begin + MAX_CHUNK_SECONDS:
            return
        # A later chunk is a later timestamp, so that the cursor never goes back.
        self._connection.write(_MOVE_CURSOR, begin, begin)
        self._begin = begin
        self._seen = {name: chunk for name, chunk in self._seen.items() if chunk >= begin}


def our_unique_id() -> uuid.UUID:
    """Return a unique identifier for a record of ours."""
    return uuid.UUID(bytes=as_ours(uuid.uuid4().bytes))


def as_ours(unique_id: bytes) -> bytes:
    """Return a unique identifier for a record of ours that follows from another one."""
    return unique_id[:8] + _OURS


def is_ours(unique_id: uuid.UUID) -> bool:
    """Tell whether a record is one of ours."""
    return unique_id.bytes[8:] == _OURS


def _record(name: Name, payload: str) -> UpdateRecord:
    values = json.loads(payload)
    return UpdateRecord(name, values.pop("update_type"), values)
