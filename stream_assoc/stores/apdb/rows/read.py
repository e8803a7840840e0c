"""From rows that were read to arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.arrays import rows_of
from stream_assoc.core.model.forced import ForcedPoints
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.states import Checkpoints, ObjectHistories, PointsOfObjects, SourcePoints
from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError


def checkpoints_of(rows: Sequence[Sequence[Any]], layout: int) -> Checkpoints:
    """Return checkpoints of rows: diaObjectId, validityStartMjdTai, state."""
    if not rows:
        return Checkpoints.none(layout)
    ids, versions, blobs = zip(*rows, strict=True)
    return Checkpoints(np.array(ids, np.int64), np.array(versions), layout, blobs)


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
