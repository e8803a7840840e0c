"""DIASources on their way into statistics and into the APDB."""

import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.batch import VISIT_COLUMNS, Batch
from stream_assoc.core.model.schema import PIXEL_ID, apdb_table
from stream_assoc.core.model.states import SourcePoints
from stream_assoc.core.model.types import BANDS, BoolArray, Float32Array, IntArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index


def source_points(batch: Batch, rows: IntArray, flag_columns: tuple[str, ...]) -> SourcePoints:
    """Return the chosen sources as points for the statistics, in the order chosen."""
    flag = np.zeros(len(batch), np.bool_)
    for name in flag_columns:
        flag |= _boolean(batch, name)
    return SourcePoints(
        ra=batch.column("ra")[rows],
        dec=batch.column("dec")[rows],
        midpointMjdTai=np.full(len(rows), batch.midpointMjdTai),
        psfFlux=batch.column("psfFlux")[rows],
        psfFluxErr=batch.column("psfFluxErr")[rows],
        scienceFlux=batch.column("scienceFlux")[rows],
        scienceFluxErr=batch.column("scienceFluxErr")[rows],
        band=np.full(len(rows), BANDS.index(batch.band), np.int64),
        flag=flag[rows],
    )


def first_errors(batch: Batch, rows: IntArray) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return raErr, decErr and ra_dec_Cov of the chosen sources, NaN for null.

    A new object takes its source's; upstream never changes them afterwards.
    """
    raErr, decErr, ra_dec_Cov = (
        batch.column(name)[rows].astype(np.float32) for name in ("raErr", "decErr", "ra_dec_Cov")
    )
    return raErr, decErr, ra_dec_Cov


def source_rows(
    batch: Batch, rows: IntArray, diaObjectId: IntArray, ssObjectId: IntArray, timeProcessedMjdTai: float
) -> pa.Table:
    """Return the chosen sources as DiaSource rows, complete and in schema order.

    Parameters
    ----------
    batch : `Batch`
        Where the measured columns come from.
    rows : `numpy.ndarray` [int64], shape (n,)
        The sources to store, ascending.
    diaObjectId, ssObjectId : `numpy.ndarray` [int64], shape (n,)
        What each was associated with; 0 for none, which is stored as NULL
        (the schema: each DIASource belongs to one or the other).
    timeProcessedMjdTai : `float`
        Processing time, MJD TAI.

    Returns
    -------
    dia_sources : `pyarrow.Table`
        ``n`` rows: every column of DiaSource, then ``pixelId``.
    """
    n = len(rows)
    measured = batch.diaSources if n == len(batch) else batch.diaSources.take(pa.array(rows))
    visit_values = (batch.id.visit, batch.id.detector, batch.band, batch.midpointMjdTai, batch.exposureTime)
    columns: dict[str, pa.Array] = {
        **dict(zip(measured.schema.names, measured.columns, strict=True)),
        "diaObjectId": pa.array(diaObjectId, mask=diaObjectId == 0),
        "ssObjectId": pa.array(ssObjectId, mask=ssObjectId == 0),
        "ssObjectReassocTimeMjdTai": pa.nulls(n, pa.float64()),
        "timeProcessedMjdTai": pa.repeat(timeProcessedMjdTai, n),
        "timeWithdrawnMjdTai": pa.nulls(n, pa.float64()),
    }
    schema = dia_source_schema()
    for name, value in zip(VISIT_COLUMNS, visit_values, strict=True):
        columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), n)
    ra, dec = batch.column("ra")[rows], batch.column("dec")[rows]
    columns["pixelId"] = pa.array(htm_index(ra, dec, PIXEL_ID_LEVEL))
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


@functools.cache
def dia_source_schema() -> pa.Schema:
    """Return the Arrow schema of the rows that `source_rows` makes."""
    return apdb_table("DiaSource").arrow_schema().append(PIXEL_ID.arrow_field())


def _boolean(batch: Batch, name: str) -> BoolArray:
    values = pc.fill_null(batch.diaSources.column(name), False)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.bool_)
