"""Columns to rows in PostgreSQL's binary COPY format.

The format (PostgreSQL manual, COPY, "Binary Format") is row by row: the number
of fields, then for each its length (-1 for NULL) and its bytes, big-endian.
Encoding is a numba loop over whole columns, so that a row costs no Python
object.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError

ByteArray = npt.NDArray[np.uint8]

HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER: Final = b"\xff\xff"

ARROW_TYPES: Final = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "bytea": pa.binary(),
}
"""PostgreSQL types that APDB tables are made of, and how their columns arrive."""

DTYPES: Final = {
    "bool": np.dtype(np.bool_),
    "int2": np.dtype(np.int16),
    "int4": np.dtype(np.int32),
    "int8": np.dtype(np.int64),
    "float4": np.dtype(np.float32),
    "float8": np.dtype(np.float64),
}
"""What values of fixed width are, in the machine's order."""


@dataclass(frozen=True, slots=True)
class CopyColumn:
    """A column as the database's catalogue describes it.

    Attributes
    ----------
    name : `str`
    type_name : `str`
        Internal type name, a key of `ARROW_TYPES`.
    required : `bool`
        Whether the column has neither a default nor room for NULL.
    """

    name: str
    type_name: str
    required: bool


def encode(table: pa.Table, columns: list[CopyColumn]) -> ByteArray:
    """Encode rows for ``COPY ... FROM STDIN (FORMAT BINARY)``.

    Parameters
    ----------
    table : `pyarrow.Table`
        Has every one of ``columns``, with values that their types can hold.
    columns : `list` [`CopyColumn`]
        The columns to send, in this order.

    Returns
    -------
    data : `numpy.ndarray` [uint8]
        Header, rows and trailer. NaN is sent as NULL, as everywhere in an APDB.

    Raises
    ------
    ApdbSchemaError
        If the database uses a type that no APDB of a known version has.
    pyarrow.ArrowInvalid
        If a value does not fit its column's type.
    """
    n_rows = table.num_rows
    widths = np.array([width_of(column) for column in columns], np.int64)
    bases = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(widths, 0) * n_rows)])
    fixed = np.empty(bases[-1], np.uint8)
    nulls = np.empty((len(columns), n_rows), np.bool_)
    text_offsets = np.zeros((int((widths < 0).sum()), n_rows + 1), np.int64)
    text_parts: list[ByteArray] = []
    text_end = 0
    for k, column in enumerate(columns):
        array = _single_array(table.column(column.name), ARROW_TYPES[column.type_name])
        nulls[k] = _null_mask(array)
        if widths[k] > 0 and array.null_count == n_rows:
            continue
        if widths[k] < 0:
            offsets, data = _text(array)
            text_offsets[len(text_parts)] = offsets + text_end
            text_parts.append(data)
            text_end += len(data)
        else:
            fixed[bases[k] : bases[k + 1]] = _fixed(array, DTYPES[column.type_name], nulls[k])
    text = np.concatenate([np.empty(0, np.uint8), *text_parts])
    sizes = _row_sizes(widths, nulls, text_offsets)
    starts = len(HEADER) + np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    out = np.empty(starts[-1] + len(TRAILER), np.uint8)
    out[: len(HEADER)] = np.frombuffer(HEADER, np.uint8)
    out[starts[-1] :] = np.frombuffer(TRAILER, np.uint8)
    _write_rows(out, starts, widths, bases, fixed, nulls, text_offsets, text)
    return out


def width_of(column: CopyColumn) -> int:
    """Return how many bytes a value of a column has, -1 where they differ.

    Raises
    ------
    ApdbSchemaError
        If no APDB of a known version has this type.
    """
    if column.type_name not in ARROW_TYPES:
        raise ApdbSchemaError(f"column {column.name} has the type {column.type_name}, which no known APDB has")
    return DTYPES[column.type_name].itemsize if column.type_name in DTYPES else -1


def _single_array(column: pa.ChunkedArray, arrow_type: pa.DataType) -> pa.Array:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return array if array.type == arrow_type else array.cast(arrow_type)


def _bits(buffer: pa.Buffer, offset: int, length: int) -> BoolArray:
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=offset + length, bitorder="little")
    return bits[offset:].view(np.bool_)


def _null_mask(array: pa.Array) -> BoolArray | bool:
    if array.null_count in (0, len(array)):
        return bool(array.null_count)
    is_valid = _bits(array.buffers()[0], array.offset, len(array))
    return np.logical_not(is_valid)


def _fixed(array: pa.Array, dtype: np.dtype[Any], nulls: BoolArray) -> ByteArray:
    """Return a column's values as bytes in the machine's order, and mark NaN as null."""
    buffer = array.buffers()[1]
    if dtype.kind == "b":
        return _bits(buffer, array.offset, len(array)).view(np.uint8)
    values = np.frombuffer(buffer, dtype, count=array.offset + len(array))[array.offset :]
    if dtype.kind == "f":
        nulls |= np.isnan(values)
    return values.view(np.uint8)


def _text(array: pa.Array) -> tuple[IntArray, ByteArray]:
    """Return the offsets and the bytes of a column of strings, in UTF-8, or of bytes."""
    _, offsets_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32, count=array.offset + len(array) + 1)[array.offset :]
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return offsets.astype(np.int64) - int(offsets[0]), data[offsets[0] : offsets[-1]]


@njit(cache=True, error_model="numpy")
def _row_sizes(widths, nulls, text_offsets):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n_columns, n_rows = nulls.shape
    sizes = np.full(n_rows, 2 + 4 * n_columns, np.int64)
    text = 0
    for k in range(n_columns):
        for i in range(n_rows):
            if not nulls[k, i]:
                sizes[i] += widths[k] if widths[k] >= 0 else text_offsets[text, i + 1] - text_offsets[text, i]
        if widths[k] < 0:
            text += 1
    return sizes


@njit(cache=True, error_model="numpy")
def _write_rows(out, starts, widths, bases, fixed, nulls, text_offsets, text):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0913, PLR0917
    n_columns, n_rows = nulls.shape
    for i in range(n_rows):
        p = starts[i]
        out[p] = n_columns >> 8
        out[p + 1] = n_columns & 255
        p += 2
        t = 0
        for k in range(n_columns):
            width = widths[k]
            is_text = width < 0
            if is_text:
                width = text_offsets[t, i + 1] - text_offsets[t, i]
            length = -1 if nulls[k, i] else width
            for b in range(4):
                out[p + b] = (length >> (24 - 8 * b)) & 255
            p += 4
            if length > 0:
                if is_text:
                    source = text_offsets[t, i]
                    for b in range(width):
                        out[p + b] = text[source + b]
                else:
                    source = bases[k] + i * width + width - 1
                    for b in range(width):
                        out[p + b] = fixed[source - b]
                p += width
            if is_text:
                t += 1
