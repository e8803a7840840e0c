"""From batches to the rows that a transaction writes, and back from rows to arrays.

Pure functions, the part of `ApdbSession.commit` and of the readers that does
not depend on the database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.arrays import rows_of
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.forced import ForcedPoints
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.states import Checkpoints, ObjectHistories, PointsOfObjects, SourcePoints
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.sql.statements import CHECKPOINT, FURTHER, N_COUNTER_SHARDS

KEYS: Final = {
    "DiaObject": ("diaObjectId", "validityStartMjdTai"),
    "DiaSource": ("diaSourceId",),
    "DiaForcedSource": ("diaObjectId", "visit", "detector"),
}
"""Primary keys, which are also what the replica chunk tables hold."""


@dataclass(frozen=True, slots=True)
class StoreRows:
    """The rows of one transaction.

    Attributes
    ----------
    superseded : `numpy.ndarray` [int64], shape (k,)
        Objects whose stored open version, if they have one, ends now.
    ends : `numpy.ndarray` [float64], shape (k,)
        When it ends: ``validityStartMjdTai`` of the object's first new
        version, or the processing time of the batch that closes it.
    tables : `dict` [`str`, `pyarrow.Table`]
        New rows of dax_apdb's tables and of our table beside DiaObject, where there are any.
    tiles : `numpy.ndarray` [int64]
        Sorted union of the tiles that change.
    voided : `numpy.ndarray` [int64]
        Objects whose checkpoints, if they have one, are to be deleted before the new ones are stored.
    shard, delta : `int`
        Row of the single-source counter to change, and by how much.
    """

    superseded: IntArray
    ends: FloatArray
    tables: dict[str, pa.Table]
    tiles: IntArray
    voided: IntArray
    shard: int
    delta: int


def store_rows(changes: Sequence[BatchChanges]) -> StoreRows:
    """Return the rows that store these batches, in their order.

    Parameters
    ----------
    changes : sequence of `BatchChanges`
        Batches; a later one supersedes object versions of an earlier one.
    """
    objects = pa.concat_tables([change.dia_objects for change in changes])
    objects, last_rows, superseded, ends = _close_versions(objects)
    closed = [change.closed.diaObjectId for change in changes]
    closing = [np.full(len(change.closed), change.entry.timeProcessedMjdTai) for change in changes]
    last_columns = [*apdb_table("DiaObjectLast").names, "pixelId"]
    tables = {
        "DiaObject": objects,
        "DiaObjectLast": objects.select(last_columns).take(pa.array(last_rows)),
        "DiaSource": pa.concat_tables([change.dia_sources for change in changes]),
        "DiaForcedSource": pa.concat_tables([change.forced_sources for change in changes]),
    }
    further = [change.further_statistics for change in changes if change.further_statistics is not None]
    if further:
        tables[FURTHER] = pa.concat_tables(further)
    tables[CHECKPOINT] = pa.concat_tables([checkpoint_rows(change.checkpoints) for change in changes])
    tiles = np.unique(np.concatenate([np.asarray(change.tiles, np.int64) for change in changes]))
    return StoreRows(
        superseded=np.concatenate([superseded, *closed]),
        ends=np.concatenate([ends, *closing]),
        tables={name: table for name, table in tables.items() if table.num_rows},
        tiles=tiles,
        voided=np.unique(
            np.concatenate([*closed, *(ids for one in changes for ids in (one.voided, one.checkpoints.diaObjectId))])
        ),
        shard=int(tiles[0]) % N_COUNTER_SHARDS if len(tiles) else 0,
        delta=sum(change.single_source_delta for change in changes),
    )


def checkpoint_rows(checkpoints: Checkpoints) -> pa.Table:
    """Return the rows of these checkpoints."""
    return pa.table(
        {
            "diaObjectId": checkpoints.diaObjectId,
            "validityStartMjdTai": checkpoints.validityStartMjdTai,
            "layout": np.full(len(checkpoints), checkpoints.layout, np.int64),
            "state": pa.array([bytes(blob) for blob in checkpoints.blobs], pa.binary()),
        }
    )


def checkpoints_of(rows: Sequence[Sequence[Any]], layout: int) -> Checkpoints:
    """Return checkpoints of rows: diaObjectId, validityStartMjdTai, state."""
    if not rows:
        return Checkpoints.none(layout)
    ids, versions, blobs = zip(*rows, strict=True)
    return Checkpoints(np.array(ids, np.int64), np.array(versions), layout, blobs)


def _close_versions(objects: pa.Table) -> tuple[pa.Table, IntArray, IntArray, FloatArray]:
    """Close each version by the next of the same object.

    Returns the table with ``validityEndMjdTai`` set, the row of each object's
    last version, and for each object the start of its first one.
    """
    ids = int_column(objects, "diaObjectId")
    starts = np.asarray(objects.column("validityStartMjdTai").to_numpy(), np.float64)
    order = np.argsort(ids, kind="stable")
    same_as_next = np.zeros(len(order), np.bool_)
    same_as_next[:-1] = ids[order[:-1]] == ids[order[1:]]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = ~same_as_next[:-1]
    if same_as_next.any():
        ends = np.zeros(len(ids))
        is_open = np.ones(len(ids), np.bool_)
        closed = order[:-1][same_as_next[:-1]]
        ends[closed] = starts[order[1:][same_as_next[:-1]]]
        is_open[closed] = False
        column = objects.schema.get_field_index("validityEndMjdTai")
        objects = objects.set_column(column, objects.schema.field(column), pa.array(ends, mask=is_open))
    first = order[is_first]
    return objects, order[~same_as_next], ids[first], starts[first]


def repeated(ids: IntArray) -> IntArray:
    """Return the identifiers that occur more than once, ascending."""
    unique, counts = np.unique(ids, return_counts=True)
    return unique[counts > 1]


def stored_elsewhere(stored: Iterable[Sequence[Any]], changes: Sequence[BatchChanges]) -> list[int]:
    """Return those stored sources (diaSourceId, visit, detector) that none of the batches replaces."""
    replaced = {change.entry.id for change in changes if change.entry.revision}
    return [identifier for identifier, *batch in stored if tuple(batch) not in replaced]


def int_column(table: pa.Table, name: str) -> IntArray:
    """Return an identifier column, which has no nulls, as int64."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.int64)


def versions_of(tiles: IntArray, stored: Mapping[int, int]) -> IntArray:
    """Return the version of each tile, 0 where none is stored."""
    return np.fromiter((stored.get(tile, 0) for tile in tiles.tolist()), np.int64, len(tiles))


def forced_source_table(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return rows of DiaForcedSource, their columns in the order of the schema, as a table."""
    schema = apdb_table("DiaForcedSource").arrow_schema()
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in schema]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


def pixel_ranges(tiles: IntArray, tile_level: int) -> IntArray:
    """Return the ``pixelId`` intervals that tiles cover, neighbours merged.

    Parameters
    ----------
    tiles : `numpy.ndarray` [int64], shape (n,)
        HTM indices at ``tile_level``, in any order.
    tile_level : `int`

    Returns
    -------
    ranges : `numpy.ndarray` [int64], shape (k, 2)
        First and last (inclusive) level-20 index of each interval, ascending.
    """
    tiles = np.unique(tiles)
    shift = 2 * (PIXEL_ID_LEVEL - tile_level)
    starts_run = np.ones(len(tiles), np.bool_)
    starts_run[1:] = np.diff(tiles) > 1
    ends_run = np.ones(len(tiles), np.bool_)
    ends_run[:-1] = starts_run[1:]
    return np.stack([tiles[starts_run] << shift, ((tiles[ends_run] + 1) << shift) - 1], axis=1)


def tiled(tiles: IntArray, tile_level: int, pixelId: IntArray, positions: ObjectPositions) -> TiledObjects:
    """Return the objects of these tiles; those of others are left out."""
    wanted = np.unique(tiles)
    of_object = pixelId >> (2 * (PIXEL_ID_LEVEL - tile_level))
    order = np.lexsort((positions.diaObjectId, of_object))
    order = order[np.isin(of_object[order], wanted)]
    offsets = np.searchsorted(of_object[order], np.append(wanted, np.iinfo(np.int64).max))
    return TiledObjects(wanted, offsets, positions.take(order))


def histories(
    asked: IntArray, versions: Sequence[np.ndarray], source_object: IntArray, points: SourcePoints
) -> ObjectHistories:
    """Return the histories of the asked objects that exist, in the order asked.

    Parameters
    ----------
    asked : `numpy.ndarray` [int64]
    versions : sequence of `numpy.ndarray`
        Columns of `VERSION_COLUMNS`, one row an object, in any order.
    source_object : `numpy.ndarray` [int64]
        The object of each point, ascending.
    points : `SourcePoints`
        In the order of processing within an object.

    Raises
    ------
    ApdbSchemaError
        If a source's band is not one of `BANDS`.
    """
    by_id = np.argsort(versions[0])
    ids, starts, raErr, decErr, covariance = (np.asarray(column)[by_id] for column in versions)
    place = np.searchsorted(ids, asked)
    exists = place < len(ids)
    exists[exists] = ids[place[exists]] == asked[exists]
    place, wanted = place[exists], asked[exists]
    theirs = points_of_objects(wanted, source_object, points)
    return ObjectHistories(
        diaObjectId=wanted,
        validityStartMjdTai=starts[place],
        raErr=raErr[place],
        decErr=decErr[place],
        ra_dec_Cov=covariance[place],
        offsets=theirs.offsets,
        points=theirs.points,
    )


def points_of_objects(asked: IntArray, source_object: IntArray, points: SourcePoints) -> PointsOfObjects:
    """Return the points of the asked objects, in the order asked.

    Parameters
    ----------
    asked, source_object, points
        As for `histories`.

    Raises
    ------
    ApdbSchemaError
        If a source's band is not one of `BANDS`.
    """
    _check_bands("DiaSource", source_object, points.band)
    low = np.searchsorted(source_object, asked, side="left")
    counts = np.searchsorted(source_object, asked, side="right") - low
    rows, offsets = rows_of(low, counts)
    if len(rows) == len(points) and (rows == np.arange(len(rows))).all():
        return PointsOfObjects(offsets, points)
    return PointsOfObjects(offsets, points.take(rows))


def forced_points(columns: Sequence[np.ndarray]) -> ForcedPoints:
    """Return the forced sources of columns in the order of `FORCED_COLUMNS` and the band index.

    Raises
    ------
    ApdbSchemaError
        If a band is not one of `BANDS`.
    """
    ids, time, flux, error, band = columns
    _check_bands("DiaForcedSource", ids, band)
    return ForcedPoints(ids, time, flux.astype(np.float64), error.astype(np.float64), band.astype(np.int64))


def _check_bands(table: str, source_object: IntArray, band: IntArray) -> None:
    unknown: BoolArray = band < 0
    if unknown.any():
        raise ApdbSchemaError(
            f"{table}.band of a source of diaObjectId {source_object[unknown][0]} is not one of u, g, r, i, z, y; "
            "correct the row in the database"
        )
