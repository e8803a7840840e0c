"""The outbox: outputs of batches that are stored and not published.

They are rows of the batch's plan. To publish is to delete them, at a later
timestamp than theirs, so that whoever applies the plan again brings nothing back.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stream_assoc.core.model.batch import BatchRevision, pack_revisions, unpack_revisions
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.pipeline.ports.outbox import OutboxEntry, WaitingEntry
from stream_assoc.stores.apdb.cassandra.claims import Claims
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.plans import CHUNK_BYTES, Change
from stream_assoc.stores.apdb.cassandra.tables import N_SHARDS, OUTBOX, WAITING

_KEY: Final = "visit = ? AND detector = ? AND revision = ?"
_HEAD: Final = (
    "SELECT timestamp, position, n_chunks, predecessors, consumer_group, chunk "
    f'FROM "{OUTBOX}" WHERE {_KEY} AND chunk = 0'
)
_BODY: Final = f'SELECT body FROM "{OUTBOX}" WHERE {_KEY} AND chunk = ?'
_WAITING: Final = f'SELECT timestamp, position, visit, detector, revision FROM "{WAITING}" WHERE shard = ?'
_FORGET: Final = f'DELETE FROM "{OUTBOX}" USING TIMESTAMP ? WHERE {_KEY}'
_FORGET_WAITING: Final = (
    f'DELETE FROM "{WAITING}" USING TIMESTAMP ? WHERE shard = ? AND timestamp = ? AND position = ? AND {_KEY}'
)
_BATCH: Final = (("visit", pa.int64()), ("detector", pa.int32()), ("revision", pa.int32()))
_PLACE: Final = (("timestamp", pa.int64()), ("position", pa.int32()))
_SCHEMA: Final = pa.schema(
    [
        *_BATCH,
        ("chunk", pa.int32()),
        ("body", pa.binary()),
        *_PLACE,
        ("n_chunks", pa.int32()),
        ("predecessors", pa.binary()),
        ("consumer_group", pa.string()),
    ]
)
_WAITING_SCHEMA: Final = pa.schema([("shard", pa.int32()), *_PLACE, *_BATCH])


@dataclass(frozen=True, slots=True)
class KeptOutputs:
    """The outputs of a batch.

    Attributes
    ----------
    key : `BatchRevision`
    position : `int`
        Tells apart, and orders, what is kept as of one timestamp.
    body : `bytes`
    predecessors : `bytes`
        The batches that are published before it, packed.
    consumer_group : `str` or `None`
        Who publishes it.
    """

    key: BatchRevision
    position: int
    body: bytes
    predecessors: bytes
    consumer_group: str | None


class Outbox:
    """Reads the outbox, and deletes what is published.

    Parameters
    ----------
    connection : `Connection`
    claims : `Claims`
    """

    def __init__(self, connection: Connection, claims: Claims) -> None:
        self._connection = connection
        self._claims = claims

    def entry(self, key: BatchRevision) -> OutboxEntry | None:
        """Return the outputs of a batch whose rows are applied, if they are not published."""
        heads = self._connection.read(_HEAD, *key)
        if not heads:
            return None
        _, _, n_chunks, predecessors, *_ = heads[0]
        found = self._connection.read_each(_BODY, [(*key, chunk) for chunk in range(n_chunks)])
        bodies = [body for rows in found for (body,) in rows]
        if len(bodies) < n_chunks:
            # Somebody has published it since the head was read.
            return None
        return OutboxEntry(self._claims.entry(key), b"".join(bodies), unpack_revisions(predecessors or b""))

    def batches(self) -> list[BatchRevision]:
        """Return every batch whose rows are applied and whose outputs are not published, in the order of storing."""
        found = self._connection.read_each(_WAITING, [(shard,) for shard in range(N_SHARDS)])
        return [BatchRevision(*row[2:]) for row in sorted(row for rows in found for row in rows)]

    def waiting(self) -> list[WaitingEntry]:
        """Return what `batches` returns, with what is known of each."""
        keys = self.batches()
        heads = self._connection.read_each(_HEAD, keys)
        return [
            WaitingEntry(self._claims.entry(key), unpack_revisions(head[3] or b""), head[4])
            for key, rows in zip(keys, heads, strict=True)
            for head in rows
        ]

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these batches whose outputs are not published."""
        asked = list(keys)
        found = self._connection.read_each(_HEAD, asked)
        return frozenset(key for key, rows in zip(asked, found, strict=True) if rows)

    def forget(self, keys: Sequence[BatchRevision]) -> None:
        """Delete the outputs of these batches.

        Both tables change together: of an entry without its row in `WAITING` nobody would learn any more that it
        is published, and what comes after it would wait for ever.
        """
        heads = self._connection.read_each(_HEAD, keys)
        kept = [(key, *rows[0][:2]) for key, rows in zip(keys, heads, strict=True) if rows]
        now = time.time_ns() // 1000
        self._connection.write_together(
            [
                (_FORGET_WAITING, (max(now, timestamp + 1), shard_of(key), timestamp, position, *key)),
                (_FORGET, (max(now, timestamp + 1), *key)),
            ]
            for key, timestamp, position in kept
        )


def outbox_rows(changes: Sequence[BatchChanges], timestamp: int) -> Iterator[Change]:
    """Yield the rows that keep the outputs of these batches, which are committed at this timestamp."""
    return kept_outputs(
        [
            KeptOutputs(
                change.entry.key, position, change.outputs, pack_revisions(change.predecessors), change.consumer_group
            )
            for position, change in enumerate(changes)
        ],
        timestamp,
    )


def kept_outputs(outputs: Sequence[KeptOutputs], timestamp: int) -> Iterator[Change]:
    """Yield the rows that keep outputs, as of this timestamp."""
    bodies: list[tuple[Any, ...]] = []
    for one in outputs:
        chunks = [one.body[begin : begin + CHUNK_BYTES] for begin in range(0, len(one.body) or 1, CHUNK_BYTES)]
        head = timestamp, one.position, len(chunks), one.predecessors or None, one.consumer_group
        bodies += [(*one.key, number, chunk, *head) for number, chunk in enumerate(chunks)]
    waiting = [(shard_of(one.key), timestamp, one.position, *one.key) for one in outputs]
    yield Change(OUTBOX, _table(bodies, _SCHEMA))
    yield Change(WAITING, _table(waiting, _WAITING_SCHEMA))


def shard_of(key: BatchRevision) -> int:
    """Return the partition of `WAITING` that a batch is in."""
    return (key.visit + key.detector) % N_SHARDS


def _table(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)
