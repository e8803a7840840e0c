"""What a plan notes for replicas: copies of rows by replica chunk, as dax_apdb keeps them here, and update records.

The subchunk follows from the first batch of the group, so that all rows of a plan are in one partition of each table.
"""

import datetime
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.stores.apdb.cassandra.batch_rows import RowKeys
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.notices import CLOSE
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.replica_holds import CHUNKS, chunks_since, newest_chunk
from stream_assoc.stores.apdb.cassandra.tables import LEDGER
from stream_assoc.stores.apdb.cassandra.taking_back import Earlier, key_columns
from stream_assoc.stores.apdb.cassandra.update_log import our_unique_id
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.chunks import (
    COMMIT_SECONDS,
    MAX_CHUNK_SECONDS,
    ReplicaChunk,
    choose_chunk,
    commit_time,
    unix_tai,
)
from stream_assoc.stores.apdb.rows.notes import UPDATE_COLUMNS, notes_of
from stream_assoc.stores.apdb.rows.tables import KEYS, UPDATES
from stream_assoc.stores.apdb.rows.withdrawal import FORCED_SOURCES, SOURCES, Withdrawable
from stream_assoc.stores.apdb.rows.written import int_column

_CHANGED: Final = (
    f'SELECT apdb_replica_chunk, last_update_time FROM "{CHUNKS}" WHERE partition = 0 AND apdb_replica_chunk IN ?'
)
_RECORDS: Final = (
    "SELECT apdb_replica_chunk, apdb_replica_subchunk, update_time_ns, update_order, update_unique_id, "
    f'update_payload FROM "{UPDATES}" WHERE apdb_replica_chunk = ? AND apdb_replica_subchunk IN ?'
)
_FIRST: Final = f'SELECT "timeProcessedMjdTai" FROM "{LEDGER}" WHERE visit = ? AND detector = ? AND revision = 0'
_RECORD_KEY: Final = pa.schema(
    [
        ("apdb_replica_chunk", pa.int64()),
        ("apdb_replica_subchunk", pa.int32()),
        ("update_time_ns", pa.int64()),
        ("update_order", pa.int32()),
        ("update_unique_id", pa.binary(16)),
    ]
)
Earliers = Mapping[BatchId, Mapping[Withdrawable, Earlier]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where a plan is noted.

    Attributes
    ----------
    chunk : `ReplicaChunk`
    subchunk : `int`
    """

    chunk: ReplicaChunk
    subchunk: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """Objects that get new versions.

    Attributes
    ----------
    all : `frozenset` [`int`]
    reopened : `frozenset` [`int`]
        Those whose last version has ended.
    """

    all: frozenset[int]
    reopened: frozenset[int]


class ReplicaNotes:
    """The notes of one session.

    Parameters
    ----------
    connection : `Connection`
    replication : `Replication`
        How rows are noted.
    n_subchunks : `int`
        Partitions of a replica chunk.
    """

    def __init__(self, connection: Connection, replication: Replication, n_subchunks: int) -> None:
        self._connection = connection
        self._replication = replication
        self._n_subchunks = n_subchunks
        self._begin = self._chosen = replication.monotonic()

    def choose(self, changes: Sequence[BatchChanges]) -> Chosen:
        """Return where these batches are noted; their commit must follow soon, see `check_time`."""
        self._chosen = self._replication.monotonic()
        commit = commit_time(changes, self._chosen - self._begin)
        newest = newest_chunk(self._connection, commit.horizon)
        chunk = choose_chunk(commit, newest, self._replication.chunk_seconds)
        first = changes[0].entry.id
        return Chosen(chunk, zlib.crc32(b"%d/%d" % first) % self._n_subchunks)

    def check_time(self) -> None:
        """Return if the chunk may still be committed to.

        Raises
        ------
        FencedError
            If `COMMIT_SECONDS` are over. Nothing may be stored then.
        """
        if self._replication.monotonic() - self._chosen > COMMIT_SECONDS:
            raise FencedError(
                f"the plan was not ready to commit within {COMMIT_SECONDS:g} s of the choice of its replica chunk, "
                "which may have been copied since; see what holds up the ring or this process"
            )

    def chunk_rows(self, chosen: Chosen) -> Iterator[Change]:
        """Yield the chunk, and the one before it where this one is begun; none seems older than it was."""
        chunk = chosen.chunk
        changed = self._changed([chunk.id] if chunk.before is None else [chunk.before, chunk.id])
        now = chunk.last_update_time
        if chunk.before is not None and changed.get(chunk.before, now) < now:
            yield Change(CHUNKS, _changed_at(chunk.before, now))
        row = _changed_at(chunk.id, max(now, changed.get(chunk.id, now)))
        row = row.append_column("unique_id", pa.array([chunk.unique_id.bytes], pa.binary(16)))
        yield Change(CHUNKS, row.append_column("has_subchunks", pa.array([True])))

    def copies(self, kind: str, rows: pa.Table, chosen: Chosen, earlier: RowKeys | None = None) -> Iterator[Change]:
        """Yield the copies of rows; one that comes again is copied where it was noted first, if that is still there.

        Parameters
        ----------
        kind : `str`
            DiaObject, DiaSource or DiaForcedSource.
        rows : `pyarrow.Table`
            Columns of that table at least.
        chosen : `Chosen`
        earlier : `RowKeys`, optional
            The keys of earlier processings of their batch.
        """
        table = rows.select(list(apdb_table(kind).names))
        if earlier is None:
            yield _noted(kind, table, chosen.chunk.id, chosen.subchunk, overwrites=False)
            return
        ids = int_column(table, KEYS[kind][0])
        is_again = np.isin(ids, earlier.identifiers)
        yield _noted(kind, table.filter(pa.array(~is_again)), chosen.chunk.id, chosen.subchunk, overwrites=False)
        at = np.searchsorted(earlier.identifiers, ids[is_again])
        places = set(zip(earlier.chunks[at].tolist(), earlier.subchunks[at].tolist(), strict=True))
        there = self._changed(sorted({chunk for chunk, _ in places}))
        again = table.filter(pa.array(is_again))
        for chunk, subchunk in sorted(places):
            if chunk in there:
                theirs = (earlier.chunks[at] == chunk) & (earlier.subchunks[at] == subchunk)
                yield _noted(kind, again.filter(pa.array(theirs)), chunk, subchunk, overwrites=True)

    def withdrawn_copies(
        self, table: Withdrawable, earlier: Earlier, batch: BatchId, time: float
    ) -> Iterator[Change]:
        """Yield the withdrawal of copies that are still there: of some rows it is told by no record.

        Parameters
        ----------
        table : `Withdrawable`
        earlier : `Earlier`
            What earlier processings have stored.
        batch : `BatchId`
        time : `float`
            When the rows are withdrawn, MJD TAI.
        """
        keys = earlier.keys.of(earlier.withdrawn)
        there = self._changed(np.unique(keys.chunks).tolist())
        keys = keys.of(keys.identifiers[np.isin(keys.chunks, list(there))])
        rows = key_columns(table, keys.identifiers, batch)
        rows = rows.append_column("apdb_replica_chunk", pa.array(keys.chunks))
        rows = rows.append_column("apdb_replica_subchunk", pa.array(keys.subchunks))
        marked = rows.append_column("timeWithdrawnMjdTai", pa.array(np.full(rows.num_rows, time)))
        yield Change(f"{table.table}Chunks2", marked)

    def records(
        self, changes: Sequence[BatchChanges], earlier: Earliers, chosen: Chosen, renewed: Renewed
    ) -> Iterator[Change]:
        """Yield the update records of what is taken back or closed, and the deletion of those that no longer hold.

        A closing is told always: the copies stay as they were stored, so each replica has the version open when it
        comes to the record.
        """
        taken = [{table: one.taken for table, one in earlier.get(change.entry.id, {}).items()} for change in changes]
        notes = notes_of(changes, taken, chosen.chunk.id, renewed.all)
        written = [dict(zip(UPDATE_COLUMNS, record, strict=True)) for record in notes.records]
        keys = [
            (
                chosen.chunk.id,
                chosen.subchunk,
                one["update_time_ns"],
                one["update_order"],
                our_unique_id().bytes,
            )
            for one in written
        ]
        payloads = pa.array([one["update_payload"] for one in written], pa.string())
        yield Change(UPDATES, _record_table(keys).append_column("update_payload", payloads))
        gone = [key for batch, tables in earlier.items() for key in self._outdated(batch, tables, notes.moved)]
        gone += self._closings(renewed.reopened, chosen.chunk.id)
        yield Change(UPDATES, _record_table(gone), deletes=True)

    def _outdated(
        self, batch: BatchId, tables: Mapping[Withdrawable, Earlier], moved: Mapping[BatchId, IntArray]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the keys of records that tell of rows of a batch as they were before they came again."""
        again = {table: {row[0] for row in one.taken.replaced} for table, one in tables.items()}
        others = set(moved.get(batch, np.empty(0, np.int64)).tolist())
        for *key, unique_id, payload in self._records_since(batch):
            record = json.loads(payload)
            is_of_source = record.get("diaSourceId") in again[SOURCES]
            is_withdrawn_source = is_of_source and record["update_type"] == SOURCES.update_type
            is_withdrawn_forced = (
                record["update_type"] == FORCED_SOURCES.update_type
                and (record["visit"], record["detector"]) == batch
                and record["diaObjectId"] in again[FORCED_SOURCES]
            )
            if is_withdrawn_source or is_withdrawn_forced or record.get("diaSourceId") in others:
                yield (*key, unique_id.bytes)

    def _records_since(self, batch: BatchId) -> list[tuple[Any, ...]]:
        """Return the update records of all chunks that may tell of rows of a batch."""
        first = self._connection.read_serial(_FIRST, *batch)
        if not first:
            return []
        begin = int(unix_tai(first[0][0])) - MAX_CHUNK_SECONDS
        return self._records_of(chunks_since(self._connection, begin))

    def _records_of(self, chunks: Sequence[int]) -> list[tuple[Any, ...]]:
        subchunks = list(range(self._n_subchunks))
        found = self._connection.read_each(_RECORDS, [(chunk, subchunks) for chunk in chunks])
        return [row for rows in found for row in rows]

    def _closings(self, reopened: frozenset[int], chunk: int) -> Iterator[tuple[Any, ...]]:
        """Yield the keys of records that close these objects in the chunk that opens them: it brings rows first."""
        for *key, unique_id, payload in self._records_of([chunk] if reopened else []):
            record = json.loads(payload)
            if record["update_type"] == CLOSE and record["diaObjectId"] in reopened:
                yield (*key, unique_id.bytes)

    def _changed(self, chunks: Sequence[int]) -> dict[int, datetime.datetime]:
        """Return when each of these chunks that are there has changed."""
        rows = self._connection.read(_CHANGED, chunks) if chunks else []
        return {chunk: time.replace(tzinfo=datetime.UTC) for chunk, time in rows}


def with_notes(keys: RowKeys, chosen: Chosen) -> RowKeys:
    """Return the keys of new rows with where they are noted."""
    places = np.full(len(keys.identifiers), chosen.chunk.id), np.full(len(keys.identifiers), chosen.subchunk)
    return replace(keys, chunks=places[0], subchunks=places[1])


def _changed_at(chunk: int, time: datetime.datetime) -> pa.Table:
    return pa.table(
        {
            "partition": pa.array([0], pa.int32()),
            "apdb_replica_chunk": pa.array([chunk], pa.int64()),
            "last_update_time": pa.array([time], pa.timestamp("ms", "UTC")),
        }
    )


def _noted(kind: str, rows: pa.Table, chunk: int, subchunk: int, *, overwrites: bool) -> Change:
    columns = {
        "apdb_replica_chunk": pa.scalar(chunk, pa.int64()),
        "apdb_replica_subchunk": pa.scalar(subchunk, pa.int32()),
    }
    for name, value in columns.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return Change(f"{kind}Chunks2", rows, overwrites=overwrites)


def _record_table(keys: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*keys, strict=True)) if keys else [() for _ in _RECORD_KEY]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _RECORD_KEY, strict=True)]
    return pa.table(arrays, _RECORD_KEY)
