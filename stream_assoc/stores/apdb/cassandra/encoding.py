"""Columns as the values that prepared statements carry: bytes in the forms of the native protocol.

The driver encodes value by value, which costs a client more than all else that
it does for a row of a hundred columns. Here a column becomes bytes as a whole.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.types import IntArray

Value: TypeAlias = Any
"""`bytes`, or `None` for NULL, or ``UNSET_VALUE`` where nothing is to be written."""


@dataclass(frozen=True, slots=True)
class _Number:
    """How the numbers of a type are written: what Arrow calls it, and as NumPy has it with the highest byte first."""

    arrow: pa.DataType
    numpy: str


_NUMBERS: Final = {
    "double": _Number(pa.float64(), ">f8"),
    "float": _Number(pa.float32(), ">f4"),
    "bigint": _Number(pa.int64(), ">i8"),
    "int": _Number(pa.int32(), ">i4"),
    "smallint": _Number(pa.int16(), ">i2"),
    "boolean": _Number(pa.uint8(), ">u1"),
    "timestamp": _Number(pa.int64(), ">i8"),
}
_NUMERIC: Final = (
    pa.types.is_floating,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_timestamp,
    pa.types.is_null,
)
_BYTES: Final = frozenset({"text", "varchar", "blob", "uuid"})


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """A column of values.

    Attributes
    ----------
    values : `list`
        A `Value` for each row.
    n_bytes : `numpy.ndarray` [int64], shape (n,), or `int`
        Bytes of each, or how many each has at most.
    """

    values: list[Value]
    n_bytes: IntArray | int


def encode_column(column: pa.ChunkedArray, kind: str, absent: Value) -> EncodedColumn:
    """Return a column as values of one of Cassandra's types.

    NaN counts as no value, as for dax_apdb.

    Parameters
    ----------
    column : `pyarrow.ChunkedArray`
    kind : `str`
        The type, as CQL calls it.
    absent : `None` or ``UNSET_VALUE``
        What stands for no value.

    Raises
    ------
    ValueError
        If a value is none of this type.
    """
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    n_bytes: IntArray | int
    if (number := _NUMBERS.get(kind)) is not None:
        values, n_bytes = _numbers(column, number), np.dtype(number.numpy).itemsize
    elif kind in _BYTES:
        values = column.cast(pa.binary()).to_pylist()
        n_bytes = np.fromiter((0 if value is None else len(value) for value in values), np.int64, len(values))
    else:
        raise ValueError(f"columns of the type {kind} are not written")
    for row in np.flatnonzero(column.is_null().to_numpy()).tolist() if column.null_count else ():
        values[row] = absent
    return EncodedColumn(values, n_bytes)


def _numbers(column: pa.ChunkedArray, number: _Number) -> list[Value]:
    """Return numbers as bytes; those of rows without a value mean nothing."""
    if not any(is_one(column.type) for is_one in _NUMERIC):
        raise ValueError(f"{column.type} is no number")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", column.type.tz))
    # What does not fit into integers raises; what does not fit into floats would become infinite.
    zero = pa.scalar(0).cast(number.arrow)
    numbers = np.asarray(column.cast(number.arrow).fill_null(zero).to_numpy())
    if number.arrow == pa.float32():
        wide = column.cast(pa.float64()).fill_null(0.0).to_numpy()
        if (np.isinf(numbers) & ~np.isinf(wide)).any():
            raise ValueError("a number is too large for 32 bits")
    encoded = numbers.astype(number.numpy)
    return encoded.view(f"V{encoded.itemsize}").tolist()  # type: ignore[no-any-return]
