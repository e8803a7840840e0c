"""What becomes of rows that are copied: those that the plans of their batches would have written.

Each row follows from the source alone, so that a stretch that is copied again writes the same.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb import copying
from stream_assoc.stores.apdb.cassandra.batch_rows import RowKeys
from stream_assoc.stores.apdb.cassandra.contents import contents_changes
from stream_assoc.stores.apdb.cassandra.copying.note import Copy
from stream_assoc.stores.apdb.cassandra.notices import REASSIGN
from stream_assoc.stores.apdb.cassandra.outbox import KeptOutputs, kept_outputs
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.plan_rows import (
    LAST_TO_PARTITION,
    batch_rows_changes,
    measured_changes,
    place_changes,
    source_map_changes,
    version_changes,
    visit_changes,
)
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.stored_versions import StoredVersions
from stream_assoc.stores.apdb.cassandra.tables import LEDGER, NOTICE
from stream_assoc.stores.apdb.cassandra.update_log import as_ours
from stream_assoc.stores.apdb.copying import CHUNK, CopiedTable, CopySource
from stream_assoc.stores.apdb.rows.entries import ledger_entry
from stream_assoc.stores.apdb.rows.tables import LEDGER_COLUMNS
from stream_assoc.stores.apdb.rows.written import int_column

SUBCHUNK: Final = "apdb_replica_subchunk"


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """Turns rows of a source into those of the keyspace.

    Attributes
    ----------
    source : `CopySource`
    places : `Places`
        Where rows are in the keyspace.
    copy : `Copy`
    cell_shift : `int`
        Bits between the index of a tile and that of its cell.
    n_subchunks : `int`
        Partitions of a replica chunk; 0 where rows are not noted for replicas.
    """

    source: CopySource
    places: Places
    copy: Copy
    cell_shift: int
    n_subchunks: int

    def of(self, table: CopiedTable, rows: pa.Table) -> list[Change]:
        """Return what a stretch of a table becomes."""
        makers: dict[str, Callable[[pa.Table], Iterator[Change]]] = {
            copying.OBJECTS.name: self._objects,
            copying.LAST.name: self._last,
            copying.SOURCES.name: self._sources,
            copying.FORCED_SOURCES.name: self._forced_sources,
            copying.LEDGER.name: self._ledger,
            copying.OUTBOX.name: self._outbox,
            copying.CHANGED.name: self._changed,
            copying.CHUNKS.name: self._chunks,
            copying.UPDATES.name: self._updates,
        }
        if table.name in makers:
            return _together(makers[table.name](rows))
        return [Change(table.name, rows)]

    def _objects(self, rows: pa.Table) -> Iterator[Change]:
        yield from version_changes(rows.drop_columns([CHUNK]), StoredVersions.none(), self.places)
        ids = int_column(rows, "diaObjectId")
        yield from self._copies("DiaObject", rows, ids % max(self.n_subchunks, 1))

    def _last(self, rows: pa.Table) -> Iterator[Change]:
        parts = self.places.pixels(*(np.asarray(rows.column(name).to_numpy()) for name in ("ra", "dec")))
        yield Change("DiaObjectLast", rows.append_column("apdb_part", pa.array(parts)))
        yield Change(LAST_TO_PARTITION, pa.table({"diaObjectId": rows.column("diaObjectId"), "apdb_part": parts}))

    def _sources(self, rows: pa.Table) -> Iterator[Change]:
        return self._measured("DiaSource", rows)

    def _forced_sources(self, rows: pa.Table) -> Iterator[Change]:
        return self._measured("DiaForcedSource", rows)

    def _measured(self, kind: str, rows: pa.Table) -> Iterator[Change]:
        """Yield the sources or forced sources of some batches, each with those of all its processings."""
        found: list[pa.Table] = []
        for batch, some in _by_batch(rows):
            changes, where, keys = measured_changes(kind, some.drop_columns([CHUNK]), self.places, overwrites=False)
            yield from changes
            found.append(where)
            subchunk = zlib.crc32(b"%d/%d" % batch) % max(self.n_subchunks, 1)
            yield from self._copies(kind, some, np.full(some.num_rows, subchunk))
            named = self._with_notes(keys, kind, some, subchunk)
            yield batch_rows_changes({(batch, kind): named})
            if kind == "DiaSource":
                yield source_map_changes(named)
        # Other stretches note other times, all at one timestamp: of two values Cassandra keeps the greater one.
        yield place_changes(found)

    def _with_notes(self, keys: RowKeys, kind: str, rows: pa.Table, subchunk: int) -> RowKeys:
        if not self.n_subchunks:
            return keys
        order = np.argsort(int_column(rows, "diaSourceId" if kind == "DiaSource" else "diaObjectId"))
        chunks = np.asarray(rows.column(CHUNK).fill_null(-1).to_numpy(), np.int64)[order]
        subchunks = np.where(chunks < 0, -1, subchunk)
        return RowKeys(keys.identifiers, keys.parts, keys.time_parts, chunks, subchunks)

    def _copies(self, kind: str, rows: pa.Table, subchunks: IntArray) -> Iterator[Change]:
        """Yield the copies of rows in the chunks in which they are noted."""
        if self.n_subchunks:
            placed = rows.append_column(SUBCHUNK, pa.array(subchunks, pa.int32()))
            yield Change(f"{kind}Chunks2", placed.filter(placed.column(CHUNK).is_valid()))

    def _ledger(self, rows: pa.Table) -> Iterator[Change]:
        claimed = pa.array([self.copy.group.bytes] * rows.num_rows, pa.binary(16))
        yield Change(LEDGER, rows.append_column("group_id", claimed))
        entries = [ledger_entry(tuple(row.values())) for row in rows.select(list(LEDGER_COLUMNS)).to_pylist()]
        yield visit_changes(entries)
        renewed = self.source.renewed([entry.timeProcessedMjdTai for entry in entries])
        yield from contents_changes([(entry, renewed[entry.timeProcessedMjdTai]) for entry in entries])

    def _outbox(self, rows: pa.Table) -> Iterator[Change]:
        kept = [
            KeptOutputs(
                BatchRevision(row["visit"], row["detector"], row["revision"]),
                row["sequence"],
                row["outputs"],
                row["predecessors"] or b"",
                row["consumer_group"],
            )
            for row in rows.to_pylist()
        ]
        return kept_outputs(kept, self.copy.timestamp)

    def _changed(self, rows: pa.Table) -> Iterator[Change]:
        """Yield the notices of objects that the next batch has to give another version."""
        outdated = rows.filter(rows.column("is_outdated"))
        ids, tiles = int_column(outdated, "diaObjectId"), int_column(outdated, "tile")
        n = len(ids)
        notices = {
            "cell": tiles >> self.cell_shift,
            "update_time_ns": np.zeros(n, np.int64),
            "update_order": pa.array(np.zeros(n), pa.int32()),
            "update_unique_id": pa.array([self.copy.group.bytes] * n, pa.binary(16)),
            "diaObjectId": ids,
            "tile": tiles,
            "kind": pa.array([REASSIGN] * n, pa.string()),
            "payload": pa.array([json.dumps({})] * n, pa.string()),
            "is_noticed": pa.array([True] * n, pa.bool_()),
        }
        yield Change(NOTICE, pa.table(notices))

    def _chunks(self, rows: pa.Table) -> Iterator[Change]:
        if self.n_subchunks:
            rows = rows.append_column("partition", pa.array([0] * rows.num_rows, pa.int32()))
            yield Change(copying.CHUNKS.name, rows.append_column("has_subchunks", pa.array([True] * rows.num_rows)))

    def _updates(self, rows: pa.Table) -> Iterator[Change]:
        """Yield update records under names of ours, for triggers have dealt with those of other programs."""
        if not self.n_subchunks:
            return
        names = rows.column("update_unique_id").to_pylist()
        subchunks = [zlib.crc32(name) % self.n_subchunks for name in names]
        at = rows.column_names.index("update_unique_id")
        named = rows.set_column(at, "update_unique_id", pa.array(map(as_ours, names), pa.binary(16)))
        yield Change(copying.UPDATES.name, named.append_column(SUBCHUNK, pa.array(subchunks, pa.int32())))


def _together(changes: Iterable[Change]) -> list[Change]:
    """Return the rows of each table as one change; those of many batches go to the nodes side by side."""
    of_table: dict[tuple[str, bool], list[pa.Table]] = {}
    for change in changes:
        if change.rows.num_rows:
            of_table.setdefault((change.table, change.overwrites), []).append(change.rows)
    return [
        Change(table, pa.concat_tables(rows), overwrites=overwrites) for (table, overwrites), rows in of_table.items()
    ]


def _by_batch(rows: pa.Table) -> Iterator[tuple[BatchId, pa.Table]]:
    """Yield the rows of each batch; those of one follow one another."""
    visits, detectors = int_column(rows, "visit"), int_column(rows, "detector")
    begins = np.flatnonzero(np.r_[True, (np.diff(visits) != 0) | (np.diff(detectors) != 0)])
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(visits)], strict=True):
        yield BatchId(int(visits[begin]), int(detectors[begin])), rows.slice(begin, end - begin)
