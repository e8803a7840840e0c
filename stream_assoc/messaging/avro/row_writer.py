"""Rows of numbers to Avro, one datum a row, by a compiled loop.

An object's datum is a hundred and fifty numbers. What is neither a number nor
the same in every row is left to `~stream_assoc.messaging.avro.codec.ColumnWriter`.
"""

from enum import IntEnum
from typing import Final, TypeGuard

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.types import IntArray
from stream_assoc.messaging.avro.codec import ColumnWriter, is_nullable
from stream_assoc.messaging.avro.wire import AvroSchema, AvroType
from stream_assoc.messaging.exceptions import EncodeError

_NULL: Final = 0
_VALUE: Final = 2
"""How a value of the kind ``["null", type]`` begins."""

_LONGEST: Final = 10
"""Bytes of the longest number, an integer of 64 bits."""

_FLOAT_INFINITY: Final = 0x7F800000
_DOUBLE_INFINITY: Final = 0x7FF0000000000000
"""The bits of every NaN, without the sign, are more than these."""


class _Kind(IntEnum):
    """How a part of a datum is written."""

    FLOAT_OR_NULL = 0
    DOUBLE_OR_NULL = 1
    FLOAT = 2
    DOUBLE = 3
    INTEGER = 4
    UNION = 5
    BYTE = 6
    PIECE = 7


_FLOATING: Final = {
    "float": (np.int32, _Kind.FLOAT, _Kind.FLOAT_OR_NULL),
    "double": (np.int64, _Kind.DOUBLE, _Kind.DOUBLE_OR_NULL),
}
_NOTHING: Final = {"int": 0, "long": 0, "boolean": False, "string": ""}
"""What stands in place of a null, and is not written."""


class RowWriter:
    """Writes rows of columns as data of one schema, NaN as null where null is allowed.

    Parameters
    ----------
    schema : `dict`
        The record schema to write.
    prefix : `bytes`, optional
        What every datum begins with.

    Attributes
    ----------
    arrow_schema : `pyarrow.Schema`
        The columns that `write` takes.
    """

    def __init__(self, schema: AvroSchema, prefix: bytes = b"") -> None:
        self.arrow_schema = ColumnWriter(schema).arrow_schema
        self._types = {field["name"]: field["type"] for field in schema["fields"]}
        self._prefix = prefix

    def write(self, rows: pa.RecordBatch) -> pa.LargeBinaryArray:
        """Return one datum for each row.

        Raises
        ------
        EncodeError
            If a column is missing, of another type, or null where the schema
            requires a value.
        """
        given = set(rows.schema.names)
        missing = [name for name in self._types if name not in given]
        if missing:
            raise EncodeError(f"the rows have no {', '.join(missing)}; give every column of the schema")
        datum = _Datum(rows.num_rows)
        for byte in self._prefix:
            datum.add_byte(byte)
        for wanted in self.arrow_schema:
            datum.add(wanted, self._types[wanted.name], rows.column(wanted.name))
        return datum.written()


class _Datum:
    """The parts of each row's datum in order, and the columns that they refer to."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self._parts: list[tuple[int, int, int]] = []
        self._numbers: list[npt.NDArray[np.integer]] = []
        self._pieces: list[pa.BinaryArray] = []

    def add_byte(self, value: int) -> None:
        """Add a byte that is the same in every row; a run of equal ones is one part."""
        if self._parts and self._parts[-1][:2] == (_Kind.BYTE, value):
            self._parts[-1] = (_Kind.BYTE, value, self._parts[-1][2] + 1)
        else:
            self._parts.append((_Kind.BYTE, value, 1))

    def add(self, wanted: pa.Field, avro_type: AvroType, column: pa.Array) -> None:
        """Add a field of the record."""
        nullable = is_nullable(avro_type)
        kind = avro_type[1] if is_nullable(avro_type) else avro_type
        n_null = column.null_count
        if not column.type.equals(wanted.type):
            raise EncodeError(
                f"the columns do not fit the schema: {wanted.name} is {column.type}, it must be {wanted.type}"
            )
        if n_null and not nullable:
            raise EncodeError(f"the column {wanted.name} is null in {n_null} rows; it is required")
        if nullable and n_null == len(column):
            self.add_byte(_NULL)
        elif isinstance(kind, str) and kind in _FLOATING:
            integers, always, where_any = _FLOATING[kind]
            self._add_numbers(where_any if nullable else always, _with_nan(column).view(integers))
        elif isinstance(kind, str):
            if n_null:
                self._add_numbers(_Kind.UNION, _whole(column.is_valid()))
                column = column.fill_null(_NOTHING[kind])
            elif nullable:
                self.add_byte(_VALUE)
            self._add_whole(column)
        elif not n_null and _is_record(kind):
            if nullable:
                self.add_byte(_VALUE)
            for inner, field, values in zip(wanted.type, kind["fields"], column.flatten(), strict=True):
                self.add(inner, field["type"], values)
        else:
            self._add_piece(_written_elsewhere(avro_type, column))

    def _add_whole(self, column: pa.Array) -> None:
        """Add integers, truth values, or texts: a text is its length and its bytes."""
        if not pa.types.is_string(column.type):
            self._add_numbers(_Kind.INTEGER, _whole(column))
            return
        self._add_numbers(_Kind.INTEGER, _whole(pc.binary_length(column)))
        self._add_piece(column.cast(pa.binary()))

    def _add_piece(self, piece: pa.BinaryArray) -> None:
        """Add bytes that are there already."""
        self._parts.append((_Kind.PIECE, len(self._pieces), 1))
        self._pieces.append(piece)

    def _add_numbers(self, kind: _Kind, values: npt.NDArray[np.integer]) -> None:
        self._parts.append((kind, len(self._numbers), 1))
        self._numbers.append(values)

    def written(self) -> pa.LargeBinaryArray:
        """Return the data."""
        numbers = np.empty((len(self._numbers), self._n_rows), np.int64)
        for row, values in enumerate(self._numbers):
            numbers[row] = values
        pieces = pa.concat_arrays([pa.array([], pa.binary()), *self._pieces])
        bounds = np.frombuffer(pieces.buffers()[1] or bytes(4), np.int32)
        elsewhere = np.frombuffer(pieces.buffers()[2] or b"", np.uint8)
        parts = np.array(self._parts, np.int64).reshape(-1, 3)
        most = self._n_rows * (_LONGEST * len(numbers) + int(parts[:, 2].sum())) + len(elsewhere)
        data = np.empty(most, np.uint8)
        offsets = _write(parts, numbers, bounds, elsewhere, self._n_rows, data)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data[: offsets[-1]])]
        return pa.Array.from_buffers(pa.large_binary(), self._n_rows, buffers, null_count=0)


def _is_record(kind: AvroType) -> TypeGuard[AvroSchema]:
    return isinstance(kind, dict) and kind["type"] == "record"


def _written_elsewhere(avro_type: AvroType, column: pa.Array) -> pa.BinaryArray:
    """Return what another writer writes of a field: a record's datum is that of its fields, one behind the other."""
    writer = ColumnWriter({"type": "record", "name": "piece", "fields": [{"name": "v", "type": avro_type}]})
    return writer.write(pa.RecordBatch.from_arrays([column], schema=writer.arrow_schema))


def _whole(column: pa.Array) -> npt.NDArray[np.integer]:
    """Return integers, or truth values as those that are written alike."""
    values: npt.NDArray[np.integer] = column.to_numpy(zero_copy_only=False)
    # A truth value is the byte 0 or 1, as the integers 0 and -1 are.
    return -values.view(np.int8) if values.dtype == np.bool_ else values


def _with_nan(column: pa.Array) -> npt.NDArray[np.floating]:
    """Return the values of a column of floating-point numbers, NaN where it is null."""
    values: npt.NDArray[np.floating] = column.to_numpy(zero_copy_only=False)
    return values


@numba.njit(cache=True, error_model="numpy")
def _write(
    parts: IntArray,
    numbers: IntArray,
    bounds: npt.NDArray[np.int32],
    elsewhere: npt.NDArray[np.uint8],
    n_rows: int,
    data: npt.NDArray[np.uint8],
) -> IntArray:
    """Write the data of all rows one behind the other, and return where each begins and the last one ends.

    Parameters
    ----------
    parts : `numpy.ndarray` [int64], shape (n_parts, 3)
        The kind of each; the row of ``numbers``, the byte, or the number of the piece; and how often a byte comes.
    numbers : `numpy.ndarray` [int64], shape (n_numbers, n_rows)
        Integers, and the bits of floating-point numbers, so that no register touches a NaN.
    bounds, elsewhere
        The pieces: all rows of the first, then of the next.
    n_rows : `int`
    data : `numpy.ndarray` [uint8]
        Written; long enough.
    """
    offsets = np.zeros(n_rows + 1, np.int64)
    at = 0
    is_null = False
    for row in range(n_rows):
        for part in range(len(parts)):
            kind, place, n = parts[part]
            if is_null:
                is_null = False
            elif kind == _Kind.BYTE:
                for k in range(n):
                    data[at + k] = place
                at += n
            elif kind == _Kind.PIECE:
                begin, end = bounds[place * n_rows + row], bounds[place * n_rows + row + 1]
                data[at : at + end - begin] = elsewhere[begin:end]
                at += end - begin
            elif kind == _Kind.INTEGER:
                at = _write_integer(data, at, numbers[place, row])
            elif kind == _Kind.UNION:
                # What is null has no next part.
                is_null = numbers[place, row] == 0
                data[at] = _NULL if is_null else _VALUE
                at += 1
            elif kind == _Kind.FLOAT_OR_NULL:
                is_nan = (numbers[place, row] & 0x7FFFFFFF) > _FLOAT_INFINITY
                at = _write_unless(is_nan, data, at, numbers[place, row], 4)
            elif kind == _Kind.DOUBLE_OR_NULL:
                is_nan = (numbers[place, row] & 0x7FFFFFFFFFFFFFFF) > _DOUBLE_INFINITY
                at = _write_unless(is_nan, data, at, numbers[place, row], 8)
            elif kind == _Kind.FLOAT:
                at = _write_bits(data, at, numbers[place, row], 4)
            else:
                at = _write_bits(data, at, numbers[place, row], 8)
        offsets[row + 1] = at
    return offsets


@numba.njit(cache=True, error_model="numpy", inline="always")
def _write_unless(is_null: bool, data: npt.NDArray[np.uint8], at: int, bits: int, n_bytes: int) -> int:
    if is_null:
        data[at] = _NULL
        return at + 1
    data[at] = _VALUE
    return _write_bits(data, at + 1, bits, n_bytes)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _write_bits(data: npt.NDArray[np.uint8], at: int, bits: int, n_bytes: int) -> int:
    # Of an unsigned place the compiler knows that it counts from the beginning, and writes all bytes at once.
    place = np.uint64(at)
    for k in range(n_bytes):
        data[place + np.uint64(k)] = (bits >> (8 * k)) & 0xFF
    return at + n_bytes


@numba.njit(cache=True, error_model="numpy")
def _write_integer(data: npt.NDArray[np.uint8], at: int, value: int) -> int:
    """Write an integer as Avro does, zigzag and seven bits a byte; return where it ends."""
    left = (value << 1) ^ (value >> 63)
    while left & ~0x7F:
        data[at] = (left & 0x7F) | 0x80
        # Shifted in as zeros, whatever the sign.
        left = (left >> 7) & 0x1FFFFFFFFFFFFFF
        at += 1
    data[at] = left
    return at + 1
