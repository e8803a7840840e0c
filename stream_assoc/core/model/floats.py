"""Columns of floats without infinities: what a type cannot hold is null, as NaN is in an APDB."""

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.types import FloatArray


def finite(numbers: FloatArray, target: pa.DataType) -> pa.Array:
    """Return numbers as a float column, null where they are not finite or the type cannot hold them.

    Parameters
    ----------
    numbers : `numpy.ndarray` [float64], shape (n,)
    target : `pyarrow.DataType`
        float32 or float64.
    """
    with np.errstate(over="ignore"):
        held = numbers.astype(target.to_pandas_dtype())
    return pa.array(held, target, mask=~np.isfinite(held))


def without_infinities(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with null for infinity in every float column that may be null.

    A writer of float32 makes infinities of what it cannot hold. Rows without
    any are returned as they are; finding that out takes a sum a column.
    """
    columns = rows.columns
    suspects = [index for index in _nullable_floats(rows.schema) if not _sums_up(columns[index])]
    if not suspects:
        return rows
    for index in suspects:
        columns[index] = pc.if_else(pc.is_inf(columns[index]), None, columns[index])
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


@functools.lru_cache(maxsize=8)
def _nullable_floats(schema: pa.Schema) -> tuple[int, ...]:
    return tuple(index for index, field in enumerate(schema) if field.nullable and pa.types.is_floating(field.type))


def _sums_up(column: pa.Array) -> bool:
    """Tell whether the sum of a column is finite, and with it every value; what stands under a null counts too."""
    data = column.buffers()[1]
    if data is None or not len(column):
        return True
    dtype = column.type.to_pandas_dtype()
    values: npt.NDArray[np.floating] = np.frombuffer(data, dtype, column.offset + len(column))[column.offset :]
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))
