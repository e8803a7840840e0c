"""From batches to the rows of a plan: each primary key once, every key derived from the plan alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.exceptions import RowsRefusedError
from stream_assoc.stores.apdb.cassandra.batch_rows import RowKeys
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.sky import sky_changes, sky_trixels
from stream_assoc.stores.apdb.cassandra.stored_versions import StoredVersions
from stream_assoc.stores.apdb.cassandra.tables import BATCH_ROWS, CHECKPOINT, OBJECT, PLACE
from stream_assoc.stores.apdb.rows.tables import FURTHER
from stream_assoc.stores.apdb.rows.written import StoreRows, int_column

LAST_TO_PARTITION: Final = "DiaObjectLastToPartition"
SOURCE_TO_PARTITION: Final = "DiaSourceToPartition"
DEDUP: Final = "DiaObjectDedup"
VISIT_DETECTOR: Final = "ApdbVisitDetector"

N_DEDUP_PARTS: Final = 64
"""Partitions of DiaObjectDedup by dax_apdb's default; it draws one of them, we derive it from the object."""

PROCESSED: Final = "timeProcessedMjdTai"
_PARTITION: Final = ("apdb_part", "apdb_time_part")
_VERSION: Final = ("ra", "dec", "raErr", "decErr", "ra_dec_Cov", "validityStartMjdTai", "nDiaSources")
_TIMES: Final = {
    "DiaObject": "validityStartMjdTai",
    "DiaSource": "midpointMjdTai",
    "DiaForcedSource": "midpointMjdTai",
}
_DEDUP: Final = ("diaObjectId", "validityStartMjdTai", "ra", "dec", "nDiaSources", "firstDiaSourceMjdTai")


def object_changes(rows: StoreRows, stored: StoredVersions, places: Places) -> Iterator[Change]:
    """Yield the new versions of objects, and the ends of those that they supersede or that are closed."""
    yield from _ended(rows, stored, places)
    new = rows.tables.get("DiaObject")
    if new is None:
        yield from _leave_last(rows.superseded, stored, {})
        return
    yield from version_changes(new, stored, places)
    last = rows.tables["DiaObjectLast"].drop_columns(["pixelId"])
    parts = places.pixels(_floats(last, "ra"), _floats(last, "dec"))
    ids = int_column(last, "diaObjectId")
    yield from _leave_last(rows.superseded, stored, dict(zip(ids.tolist(), parts.tolist(), strict=True)))
    yield Change("DiaObjectLast", last.append_column("apdb_part", pa.array(parts)), overwrites=True)
    at = np.searchsorted(stored.diaObjectId, ids)
    stays = np.isin(ids, stored.diaObjectId[stored.is_open])
    stays[stays] = stored.parts[at[stays]] == parts[stays]
    yield Change(LAST_TO_PARTITION, pa.table({"diaObjectId": ids[~stays], "apdb_part": parts[~stays]}))
    if FURTHER in rows.tables:
        yield Change(FURTHER, rows.tables[FURTHER])


def version_changes(new: pa.Table, stored: StoredVersions, places: Places) -> Iterator[Change]:
    """Yield versions of objects, and what says where they are.

    Parameters
    ----------
    new : `pyarrow.Table`
        Columns of DiaObject; the versions of an object by their beginning.
    stored : `StoredVersions`
        The versions before them.
    places : `Places`
    """
    versions = _with_partition(new, places, "validityStartMjdTai")
    yield from partitioned("DiaObject", versions, places)
    yield from _whereabouts(versions, stored)
    yield Change(OBJECT, _latest(versions), overwrites=True)
    dedup = new.select(list(_DEDUP))
    yield Change(DEDUP, dedup.append_column("dedup_part", pa.array(int_column(dedup, "diaObjectId") % N_DEDUP_PARTS)))


def checkpoint_changes(rows: StoreRows) -> Iterator[Change]:
    """Yield the checkpoints that are stored, and those that are void."""
    stored = rows.tables.get(CHECKPOINT)
    if stored is not None:
        # A batch of the same plan may have kept the object before.
        ids = int_column(stored, "diaObjectId")
        _, latest = np.unique(ids[::-1], return_index=True)
        stored = stored.take(pa.array(len(ids) - 1 - latest))
        yield Change(CHECKPOINT, stored, overwrites=True)
    kept = np.empty(0, np.int64) if stored is None else int_column(stored, "diaObjectId")
    yield Change(CHECKPOINT, pa.table({"diaObjectId": np.setdiff1d(rows.voided, kept)}), deletes=True)


def measured_changes(
    kind: str, rows: pa.Table, places: Places, *, overwrites: bool
) -> tuple[list[Change], pa.Table, RowKeys]:
    """Return the new rows of one batch in DiaSource or DiaForcedSource, where they are, and their keys.

    Parameters
    ----------
    kind : `str`
        The table.
    rows : `pyarrow.Table`
    places : `Places`
    overwrites : `bool`
        Whether rows of the same keys may be there.
    """
    placed = _with_partition(rows, places, "midpointMjdTai")
    where = placed.select(["diaObjectId", *_PARTITION, PROCESSED]).drop_null()
    where = where.append_column("kind", pa.repeat(pa.scalar(kind), where.num_rows))
    return list(partitioned(kind, placed, places, overwrites=overwrites)), where, _keys_of(kind, placed)


def place_changes(where: Sequence[pa.Table]) -> Change:
    """Return the notes of partitions that objects have rows in, each with the last time that one was stored there.

    Who reads what has come after a time leaves out the partitions in which nothing has.
    """
    # Tables differ in which columns may be NULL.
    rows = pa.concat_tables(where, promote_options="default")
    last = rows.group_by(["diaObjectId", "kind", *_PARTITION]).aggregate([(PROCESSED, "max")])
    return Change(PLACE, last.rename_columns({f"{PROCESSED}_max": PROCESSED}))


def source_map_changes(keys: RowKeys) -> Change:
    """Return dax_apdb's map of sources to where they are and where they were noted for replicas."""
    table = pa.table(
        {
            "diaSourceId": keys.identifiers,
            "apdb_part": keys.parts,
            "apdb_time_part": keys.time_parts,
            "apdb_replica_chunk": pa.array(keys.chunks, mask=keys.chunks < 0),
            "apdb_replica_subchunk": pa.array(keys.subchunks, mask=keys.subchunks < 0),
        }
    )
    return Change(SOURCE_TO_PARTITION, table)


def batch_rows_changes(keys: Mapping[tuple[BatchId, str], RowKeys]) -> Change:
    """Return the rows that say where the rows of each batch are."""
    named = [(*batch, kind, one.packed()) for (batch, kind), one in keys.items()]
    columns = list(zip(*named, strict=True)) if named else [(), (), (), ()]
    types = (pa.int64(), pa.int32(), pa.string(), pa.binary())
    names = ("visit", "detector", "kind", "keys")
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return Change(BATCH_ROWS, pa.table(arrays, names))


def visit_changes(entries: Iterable[LedgerEntry]) -> Change:
    """Return dax_apdb's note of the visits and detectors that were processed."""
    batches = sorted({entry.id for entry in entries})
    columns = {
        "visit": pa.array([batch.visit for batch in batches], pa.int64()),
        "detector": pa.array([batch.detector for batch in batches], pa.int16()),
    }
    return Change(VISIT_DETECTOR, pa.table(columns))


def partitioned(
    kind: str,
    placed: pa.Table,
    places: Places,
    *,
    deletes: bool = False,
    overwrites: bool = False,
    is_stored: bool = False,
) -> Iterator[Change]:
    """Yield rows of DiaObject, DiaSource or DiaForcedSource for the tables that they are in.

    Parameters
    ----------
    kind : `str`
    placed : `pyarrow.Table`
        With their partitions.
    places : `Places`
    deletes, overwrites : `bool`
        See `Change`.
    is_stored : `bool`
        Whether all these rows are there already: of a table that has been dropped they are gone, and left out.

    Raises
    ------
    RowsRefusedError
        If a row that is new is of a time for which there is no table.
    """
    if places.time_partitions is None:
        yield Change(kind, placed, deletes=deletes, overwrites=overwrites)
        return
    for time_part in pc.unique(placed.column("apdb_time_part")).to_pylist():
        if not places.has_table(time_part):
            if is_stored:
                continue
            first, last = places.time_partitions[0], places.time_partitions[-1]
            raise RowsRefusedError(
                f"the APDB has no table {places.table(kind, time_part)}, only those of {first} to {last}. See that "
                f"{_TIMES[kind]} is right; add tables by `apdb-cli partition extend-temporal`, and restart daemons"
            )
        theirs = placed.filter(pc.equal(placed.column("apdb_time_part"), time_part)).drop_columns(["apdb_time_part"])
        yield Change(places.table(kind, time_part), theirs, deletes=deletes, overwrites=overwrites)


def _ended(rows: StoreRows, stored: StoredVersions, places: Places) -> Iterator[Change]:
    at = np.searchsorted(stored.diaObjectId, rows.superseded)
    is_stored = np.isin(rows.superseded, stored.diaObjectId[stored.is_open])
    at, ids, ends = at[is_stored], rows.superseded[is_stored], rows.ends[is_stored]
    ended = pa.table(
        {
            "apdb_part": stored.parts[at],
            "apdb_time_part": stored.time_parts[at],
            "diaObjectId": ids,
            "validityStartMjdTai": stored.validityStartMjdTai[at],
            "validityEndMjdTai": ends,
        }
    )
    yield from partitioned("DiaObject", ended, places, is_stored=True)
    renewed = int_column(rows.tables["DiaObject"], "diaObjectId") if "DiaObject" in rows.tables else ids[:0]
    closed = ~np.isin(ids, renewed)
    yield Change(OBJECT, pa.table({"diaObjectId": ids[closed], "validityEndMjdTai": ends[closed]}))


def _leave_last(superseded: IntArray, stored: StoredVersions, last: Mapping[int, int]) -> Iterator[Change]:
    """Yield the deletion of objects from the partitions of DiaObjectLast that they leave."""
    before = dict(zip(stored.diaObjectId.tolist(), stored.parts.tolist(), strict=True))
    left = [(before[one], one) for one in superseded.tolist() if one in before and last.get(one) != before[one]]
    parts, ids = np.array(left, np.int64).reshape(-1, 2).T
    yield Change("DiaObjectLast", pa.table({"apdb_part": parts, "diaObjectId": ids}), deletes=True)
    gone = np.array([one for _, one in left if one not in last], np.int64)
    yield Change(LAST_TO_PARTITION, pa.table({"diaObjectId": gone}), deletes=True)


def _whereabouts(versions: pa.Table, stored: StoredVersions) -> Iterator[Change]:
    """Yield the notes of partitions and trixels that objects were not in with the versions before."""
    ids = int_column(versions, "diaObjectId").tolist()
    partitions = zip(ids, *(versions.column(name).to_pylist() for name in _PARTITION), strict=True)
    before = zip(stored.diaObjectId.tolist(), stored.parts.tolist(), stored.time_parts.tolist(), strict=True)
    entered = np.array(sorted(set(partitions) - set(before)), np.int64).reshape(-1, 3).T
    places = dict(zip(("diaObjectId", *_PARTITION), entered, strict=True))
    yield Change(PLACE, pa.table({**places, "kind": pa.array(["DiaObject"] * entered.shape[1], pa.string())}))
    trixels = zip(sky_trixels(_floats(versions, "ra"), _floats(versions, "dec")).tolist(), ids, strict=True)
    trixels_before = zip(sky_trixels(stored.ra, stored.dec).tolist(), stored.diaObjectId.tolist(), strict=True)
    yield sky_changes(set(trixels) - set(trixels_before))


def _latest(versions: pa.Table) -> pa.Table:
    """Return the last of each object's versions, for `OBJECT`."""
    ids = int_column(versions, "diaObjectId")
    _, from_end = np.unique(ids[::-1], return_index=True)
    names = ["diaObjectId", *_PARTITION, *_VERSION, "validityEndMjdTai"]
    return versions.take(pa.array(len(ids) - 1 - from_end)).select(names)


def _with_partition(rows: pa.Table, places: Places, time: str) -> pa.Table:
    """Return rows without ``pixelId``, and with the partition that each is in."""
    parts = places.pixels(_floats(rows, "ra"), _floats(rows, "dec"))
    placed = rows.select([name for name in rows.column_names if name != "pixelId"])
    placed = placed.append_column("apdb_part", pa.array(parts))
    return placed.append_column("apdb_time_part", pa.array(places.time_parts(_floats(rows, time))))


def _keys_of(kind: str, placed: pa.Table) -> RowKeys:
    ids = int_column(placed, "diaSourceId" if kind == "DiaSource" else "diaObjectId")
    order = np.argsort(ids)
    nowhere = np.full(len(ids), -1, np.int64)
    parts, time_parts = int_column(placed, "apdb_part"), int_column(placed, "apdb_time_part")
    return RowKeys(ids[order], parts[order], time_parts[order], nowhere, nowhere)


def _floats(rows: pa.Table, name: str) -> FloatArray:
    column: FloatArray = np.asarray(rows.column(name).to_numpy(), np.float64)
    return column
