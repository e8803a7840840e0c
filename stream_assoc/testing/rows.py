"""Valid APDB rows, built from the schema itself, and batches of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from lsst.sphgeom import HtmPixelization, LonLat, UnitVector3d

from stream_assoc.core.model.batch import BatchId, ImageUris, Observation
from stream_assoc.core.model.changes import BatchChanges, InputPosition, LedgerEntry
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import PIXEL_ID, Table, apdb_table
from stream_assoc.pipeline.ports.sessions import ApdbSessions

BIG = 2**60 + 1
"""An identifier that a float64 would round."""

PIXELS = HtmPixelization(20)
DEFAULTS = {"long": 0, "int": 0, "short": 0, "double": 0.0, "float": 0.0, "boolean": False}


def pixel(ra: float, dec: float, level: int = 20) -> int:
    return PIXELS.index(UnitVector3d(LonLat.fromDegrees(ra, dec))) >> (2 * (20 - level))


def table(name: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows of a table; a column that no row names is NULL, or zero where the schema forbids NULL."""
    definition: Table = apdb_table(name)
    columns = list(definition.columns)
    if name != "DiaForcedSource":
        columns.append(PIXEL_ID)
    arrays, fields = [], []
    for column in columns:
        filler = None if column.nullable else DEFAULTS.get(column.datatype)
        values = [row.get(column.name, filler) for row in rows]
        if column is PIXEL_ID:
            values = [row.get("pixelId", pixel(row["ra"], row["dec"])) for row in rows]
        arrays.append(pa.array(values, column.arrow_type))
        fields.append(pa.field(column.name, column.arrow_type))
    return pa.table(arrays, schema=pa.schema(fields))


def source(identifier: int, ra: float = 10.0, dec: float = -5.0, **values: Any) -> dict[str, Any]:
    row = {
        "diaSourceId": identifier,
        "diaObjectId": identifier,
        "ra": ra,
        "dec": dec,
        "band": "r",
        "midpointMjdTai": 60000.5,
        "timeProcessedMjdTai": 60000.6,
        "psfFlux": 1234.5678,
        "psfFluxErr": 10.1,
        "scienceFlux": 2000.25,
        "scienceFluxErr": 11.3,
        "centroid_flag": False,
        "reliabilityVersion": "v1.2",
    }
    return row | values


def dia_object(identifier: int, start: float, ra: float = 10.0, dec: float = -5.0, **values: Any) -> dict[str, Any]:
    row = {
        "diaObjectId": identifier,
        "validityStartMjdTai": start,
        "ra": ra,
        "dec": dec,
        "raErr": 1e-5,
        "decErr": 2e-5,
        "ra_dec_Cov": 1e-12,
        "r_psfFluxMean": 1234.5678,
        "nDiaSources": 1,
        "firstDiaSourceMjdTai": 60000.5,
        "lastDiaSourceMjdTai": 60000.5,
    }
    return row | values


def forced(identifier: int, object_id: int, visit: int, detector: int, **values: Any) -> dict[str, Any]:
    row = {
        "diaForcedSourceId": identifier,
        "diaObjectId": object_id,
        "visit": visit,
        "detector": detector,
        "ra": 10.0,
        "dec": -5.0,
        "psfFlux": 1.5,
        "band": "r",
        "midpointMjdTai": 60000.5,
        "timeProcessedMjdTai": 60000.6,
    }
    return row | values


def positions(ids: Sequence[int], start: float = 60000.6) -> ObjectPositions:
    """Return where `dia_object` puts objects."""
    n = len(ids)
    ra, dec = np.full(n, 10.0), np.full(n, -5.0)
    raErr, decErr = np.full(n, 1e-5, np.float32), np.full(n, 2e-5, np.float32)
    return ObjectPositions(np.array(ids, np.int64), ra, dec, raErr, decErr, np.full(n, start), np.ones(n, np.int32))


def changes(
    batch: BatchId,
    sources: Sequence[dict[str, Any]] = (),
    objects: Sequence[dict[str, Any]] = (),
    forced_sources: Sequence[dict[str, Any]] = (),
    *,
    time: float = 60000.6,
    delta: int = 0,
    tiles: Sequence[int] | None = None,
    position: InputPosition | None = None,
    revision: int = 0,
    closed: Sequence[int] = (),
) -> BatchChanges:
    rows = [{"visit": batch.visit, "detector": batch.detector} | row for row in sources]
    if tiles is None:
        tiles = sorted({pixel(row["ra"], row["dec"], 10) for row in objects})
    return BatchChanges(
        entry=LedgerEntry(
            batch,
            b"\x01" * 32,
            time,
            len(sources),
            len(sources),
            position,
            revision,
            ImageUris(f"s3://images/{batch.visit}/difference.fits", template="file:///images/template, 1.fits"),
            Observation("ddf_cosmos", None),
        ),
        dia_sources=table("DiaSource", rows),
        dia_objects=table("DiaObject", objects),
        forced_sources=table("DiaForcedSource", forced_sources),
        tiles=np.array(tiles, np.int64),
        single_source_delta=delta,
        outputs=b"outputs of %d/%d/%d\x00\xff" % (*batch, revision),
        closed=positions(closed),
    )


CELLS = np.array([pixel(10, -5, 8)])
TILES = np.array([pixel(10, -5, 10)])
FIRST, SECOND = BatchId(2**40 + 1, 3), BatchId(2**40 + 1, 188)


def store(apdb: ApdbSessions, *batches: BatchChanges) -> list[int]:
    with apdb.exclusive(CELLS) as session:
        stored: list[int] = session.commit(batches).tolist()
    return stored


def new_objects(batch: BatchId, ids: list[int], time: float = 60000.6, **values: Any) -> BatchChanges:
    """Return a batch whose sources all became objects."""
    return changes(
        batch,
        [source(identifier, timeProcessedMjdTai=time, **values) for identifier in ids],
        [dia_object(identifier, time) for identifier in ids],
        time=time,
        delta=len(ids),
    )
