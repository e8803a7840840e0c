"""From columns of numbers to Arrow tables of DIAObjects."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.schema import PIXEL_ID, Column, apdb_table
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index


def dia_object_rows(states: ObjectStates, statistics: Mapping[str, FloatArray]) -> pa.Table:
    """Return DiaObject rows in the APDB's schema and ``pixelId``.

    Parameters
    ----------
    states : `ObjectStates`
        Ids, versions and errors.
    statistics : `~collections.abc.Mapping` [`str`, `numpy.ndarray`]
        Columns in float64; those the APDB does not have are left out.

    Returns
    -------
    rows : `pyarrow.Table`
        One row a state, in order. NaN becomes null, and so does what is
        finite and too large for a float32 column; columns that nothing
        computes are null, or 0 where the schema forbids null.
    """
    columns: dict[str, npt.NDArray[np.generic]] = {
        **statistics,
        "diaObjectId": states.diaObjectId,
        "validityStartMjdTai": states.validityStartMjdTai,
        "raErr": states.raErr,
        "decErr": states.decErr,
        "ra_dec_Cov": states.ra_dec_Cov,
        "pixelId": htm_index(statistics["ra"], statistics["dec"], PIXEL_ID_LEVEL),
    }
    schema = (*apdb_table("DiaObject").columns, PIXEL_ID)
    # What is too large for a float32 column becomes infinite there.
    with np.errstate(over="ignore"):
        arrays = [_column(column, columns.get(column.name), len(states)) for column in schema]
    return pa.Table.from_arrays(arrays, schema=_dia_object_schema())


@functools.cache
def _dia_object_schema() -> pa.Schema:
    return apdb_table("DiaObject").arrow_schema().append(PIXEL_ID.arrow_field())


@functools.cache
def stored_columns() -> frozenset[str]:
    """Return the columns of DiaObject in the APDB."""
    return frozenset((*apdb_table("DiaObject").names, PIXEL_ID.name))


def further_rows(
    states: ObjectStates, statistics: Mapping[str, FloatArray], plugin_columns: Sequence[str]
) -> pa.Table:
    """Return the rows of the table of `~stream_assoc.core.model.further_statistics`, NaN as null.

    Parameters
    ----------
    states : `ObjectStates`
        Ids and versions.
    statistics : `~collections.abc.Mapping` [`str`, `numpy.ndarray`]
        Columns in float64.
    plugin_columns : `~collections.abc.Sequence` [`str`]
        Those that plugins of other packages compute beyond.

    Returns
    -------
    rows : `pyarrow.Table`
        ``diaObjectId`` and ``validityStartMjdTai``, the key of the DiaObject
        row, then those columns of the table that are among ``statistics``,
        then ``plugin_columns``.
    """
    ours = [column.name for column in further_statistics() if column.name in statistics]
    return pa.table(
        {
            "diaObjectId": _array(states.diaObjectId, pa.int64()),
            "validityStartMjdTai": _array(states.validityStartMjdTai, pa.float64()),
            **{name: _array(statistics[name], pa.float64()) for name in (*ours, *plugin_columns)},
        }
    )


def _column(column: Column, values: npt.NDArray[np.generic] | None, n_rows: int) -> pa.Array:
    if values is not None:
        return _array(values, column.arrow_type)
    if column.nullable:
        return pa.nulls(n_rows, column.arrow_type)
    return _array(np.zeros(n_rows), column.arrow_type)


def _array(values: npt.NDArray[np.generic], arrow_type: pa.DataType) -> pa.Array:
    """Return an Arrow array, NaN and overflow as null: four times as fast as `pyarrow.array`, without pandas."""
    data = np.ascontiguousarray(values, arrow_type.to_pandas_dtype())
    if data.dtype.kind != "f":
        return pa.Array.from_buffers(arrow_type, len(data), [None, pa.py_buffer(data)], null_count=0)
    valid = np.isfinite(data)
    if not valid.all():
        # An infinity that was computed is upstream's; one that the narrower type made is no number at all.
        valid |= np.isinf(values)
    n_null = len(data) - int(np.count_nonzero(valid))
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little")) if n_null else None
    return pa.Array.from_buffers(arrow_type, len(data), [bitmap, pa.py_buffer(data)], null_count=n_null)
