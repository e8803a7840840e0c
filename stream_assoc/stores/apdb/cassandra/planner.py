"""Planning: what a commit writes, from its batches and from what is stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.pipeline.exceptions import DuplicateSourceError, RowsRefusedError
from stream_assoc.stores.apdb.cassandra.batch_rows import RowKeys
from stream_assoc.stores.apdb.cassandra.contents import contents_changes
from stream_assoc.stores.apdb.cassandra.database import Database
from stream_assoc.stores.apdb.cassandra.plan_rows import (
    SOURCE_TO_PARTITION,
    batch_rows_changes,
    checkpoint_changes,
    measured_changes,
    object_changes,
    place_changes,
    source_map_changes,
    visit_changes,
)
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.replica_notes import Chosen, Renewed, ReplicaNotes, with_notes
from stream_assoc.stores.apdb.cassandra.stored_versions import StoredVersions, read_stored_versions
from stream_assoc.stores.apdb.cassandra.taking_back import Earlier, read_earlier, taken_back
from stream_assoc.stores.apdb.rows.entries import duplicate_message
from stream_assoc.stores.apdb.rows.tables import KEYS
from stream_assoc.stores.apdb.rows.withdrawal import SOURCES, Withdrawable
from stream_assoc.stores.apdb.rows.written import StoreRows, int_column, repeated

_SOURCE_IDS: Final = f'SELECT "diaSourceId" FROM "{SOURCE_TO_PARTITION}" WHERE "diaSourceId" IN ?'


@dataclass(frozen=True, slots=True)
class Planned:
    """What a session is to write.

    Attributes
    ----------
    changes : `list` [`Change`]
    last_written : `int`
        When what it overwrites was written last, microseconds: latest versions of objects, sources, forced sources.
    replica_chunk : `int` or `None`
        Where it is noted for replicas.
    """

    changes: list[Change]
    last_written: int
    replica_chunk: int | None


class Planner:
    """Makes the plan of one session.

    Parameters
    ----------
    database : `Database`
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._notes: ReplicaNotes | None = None
        if database.replication is not None:
            self._notes = ReplicaNotes(database.connection, database.replication, database.n_subchunks)
        self._keys: dict[tuple[BatchId, str], RowKeys] = {}
        self._where: list[pa.Table] = []
        self._earlier: dict[BatchId, Mapping[Withdrawable, Earlier]] = {}

    def plan(self, changes: Sequence[BatchChanges], rows: StoreRows) -> Planned:
        """Return what is to be written.

        Raises
        ------
        RowsRefusedError
            If a new version does not begin after the one before it.
        DuplicateSourceError
            If a diaSourceId is stored, or comes twice.
        """
        stored = self._stored_versions(rows)
        _check_advance(rows, stored)
        chosen = None if self._notes is None else self._notes.choose(changes)
        planned = [
            *object_changes(rows, stored, self._database.places),
            *checkpoint_changes(rows),
            *(one for change in changes for one in self._measured(change, chosen)),
            place_changes(self._where),
            batch_rows_changes(self._keys),
            visit_changes(change.entry for change in changes),
            *contents_changes([(change.entry, int_column(change.dia_objects, "diaObjectId")) for change in changes]),
        ]
        self._check_sources(changes)
        if self._notes is not None and chosen is not None:
            records = self._notes.records(changes, self._earlier, chosen, _renewed(rows, stored))
            planned[:0] = [*self._notes.chunk_rows(chosen), *records]
            if "DiaObject" in rows.tables:
                planned += self._notes.copies("DiaObject", rows.tables["DiaObject"], chosen)
        written = [one.last_written for tables in self._earlier.values() for one in tables.values()]
        last_written = max([stored.last_written, *written])
        return Planned(planned, last_written, None if chosen is None else chosen.chunk.id)

    def check_time(self) -> None:
        """Return if there is time left to commit what was planned; see `ReplicaNotes.check_time`."""
        if self._notes is not None:
            self._notes.check_time()

    def _measured(self, change: BatchChanges, chosen: Chosen | None) -> Iterator[Change]:
        """Yield the sources and forced sources of a batch, and what becomes of those of its earlier processings."""
        batch, places, now = change.entry.id, self._database.places, dict[str, RowKeys]()
        tables = {"DiaSource": change.dia_sources, "DiaForcedSource": change.forced_sources}
        for kind, rows in tables.items():
            new, where, keys = measured_changes(kind, rows, places, overwrites=change.entry.revision > 0)
            yield from new
            self._where.append(where)
            now[kind] = keys if chosen is None else with_notes(keys, chosen)
        earlier: Mapping[Withdrawable, Earlier] = {}
        if change.entry.revision:
            earlier = read_earlier(self._database.connection, self._database.rows, change, now)
            self._earlier[batch] = earlier
        before = {table.table: one.keys for table, one in earlier.items()}
        for table, one in earlier.items():
            yield from taken_back(table, one, now[table.table], change, places)
            if self._notes is not None:
                yield from self._notes.withdrawn_copies(table, one, batch, change.entry.timeProcessedMjdTai)
        for kind, keys in now.items():
            joined = before[kind].joined(keys) if kind in before else keys
            if len(joined.identifiers):
                self._keys[batch, kind] = joined
            if kind == "DiaSource":
                yield source_map_changes(joined.of(keys.identifiers))
            if self._notes is not None and chosen is not None:
                yield from self._notes.copies(kind, tables[kind], chosen, before.get(kind))

    def _check_sources(self, changes: Sequence[BatchChanges]) -> None:
        """Return if no source comes twice, and none is stored but by earlier processings of its own batch."""
        ids = np.concatenate([int_column(change.dia_sources, "diaSourceId") for change in changes])
        stored = np.array(self._database.connection.read_in(_SOURCE_IDS, np.unique(ids).tolist()), np.int64)
        own = [before[SOURCES].keys.identifiers for before in self._earlier.values()]
        elsewhere = np.setdiff1d(stored, np.concatenate([np.empty(0, np.int64), *own]))
        if duplicates := [*elsewhere.tolist(), *repeated(ids).tolist()]:
            raise DuplicateSourceError(duplicate_message(duplicates))

    def _stored_versions(self, rows: StoreRows) -> StoredVersions:
        """Return the versions that these rows supersede."""
        new, places = rows.tables.get("DiaObjectLast"), self._database.places
        new_parts: dict[int, int] = {}
        if new is not None:
            ra, dec = (np.asarray(new.column(name).to_numpy(), np.float64) for name in ("ra", "dec"))
            ids = int_column(new, "diaObjectId").tolist()
            new_parts = dict(zip(ids, places.pixels(ra, dec).tolist(), strict=True))
        return read_stored_versions(self._database.connection, places, rows.superseded, new_parts)


def check_values(rows: StoreRows) -> None:
    """Return if the tables admit these rows.

    Raises
    ------
    RowsRefusedError
        If a value is missing, or a primary key comes twice.
    """
    for name in KEYS:
        if name not in rows.tables:
            continue
        table = rows.tables[name]
        for column in apdb_table(name).columns:
            if not column.nullable and table.column(column.name).null_count:
                raise RowsRefusedError(f"the APDB refuses the batch: {name}.{column.name} is NULL in a row")
        if name != "DiaSource" and _repeats(table, KEYS[name]):
            raise RowsRefusedError(f"the APDB refuses the batch: two rows of {name} have the same {KEYS[name]}")


def _repeats(table: pa.Table, key: Sequence[str]) -> bool:
    return bool(table.group_by(list(key)).aggregate([]).num_rows < table.num_rows)


def _renewed(rows: StoreRows, stored: StoredVersions) -> Renewed:
    ids = int_column(rows.tables["DiaObject"], "diaObjectId") if "DiaObject" in rows.tables else np.empty(0, np.int64)
    ended = stored.diaObjectId[~stored.is_open]
    return Renewed(frozenset(ids.tolist()), frozenset(np.intersect1d(ids, ended).tolist()))


def _check_advance(rows: StoreRows, stored: StoredVersions) -> None:
    new = rows.tables.get("DiaObject")
    if new is None:
        return
    ids, starts = int_column(new, "diaObjectId"), np.asarray(new.column("validityStartMjdTai").to_numpy())
    is_stored = np.isin(ids, stored.diaObjectId)
    before = stored.validityStartMjdTai[np.searchsorted(stored.diaObjectId, ids[is_stored])]
    if (starts[is_stored] <= before).any():
        raise RowsRefusedError("the APDB refuses the batch: DiaObject.validityStartMjdTai does not advance")
