"""Columns of any type as columns of Rubin's types, row by row and never by guessing.

A column of a wrong kind is refused as a whole: text where a number must be, a
float where an identifier must be. A value that does not fit the type is told
row by row, so that one of them harms no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from stream_assoc.core.model.floats import finite
from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH
from stream_assoc.core.model.types import BoolArray, FloatArray
from stream_assoc.tools.transform.exceptions import MappingError

_UNIT: Final = b"unit"
"""Key of a column's unit in the metadata of its Arrow field."""

_ASTROPY: Final = b"table_meta_yaml"
"""Key under which astropy describes the columns of a Parquet file."""


def stated_units(schema: pa.Schema) -> dict[str, str]:
    """Return the unit of every column that says one, fields of structs under their dotted names.

    Raises
    ------
    MappingError
        If the table has a description by astropy that cannot be read.
    """
    units = dict(_of_fields(schema, ""))
    description = (schema.metadata or {}).get(_ASTROPY)
    return units if description is None else _of_astropy(description) | units


def _of_fields(fields: pa.Schema | pa.StructType, prefix: str) -> Iterator[tuple[str, str]]:
    for field in fields:
        unit = (field.metadata or {}).get(_UNIT, b"").decode("utf-8", "replace")
        if unit:
            yield prefix + field.name, unit
        if pa.types.is_struct(field.type):
            yield from _of_fields(field.type, f"{prefix}{field.name}.")


def _of_astropy(description: bytes) -> dict[str, str]:
    # astropy takes half a second, and most tables are not its own.
    from astropy.table.meta import YamlParseError, get_header_from_yaml

    try:
        header = get_header_from_yaml(description.decode("utf-8").split("\n"))
        return {column["name"]: str(column["unit"]) for column in header.get("datatype", []) if column.get("unit")}
    except (YamlParseError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        raise MappingError(
            f"astropy's description of the table ({_ASTROPY.decode()} in its metadata) cannot be read, so the units "
            "of its columns are not known; write the table again, with it or without"
        ) from None


_EXACT: Final = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**53}
"""Every integer up to this one is a float of the type; of those above only some are."""

_DAY_MICROSECONDS: Final = 86_400_000_000
_PADDING: Final = " \t\r\n\0"


@dataclass(frozen=True, slots=True)
class Converted:
    """A column in another type.

    Attributes
    ----------
    values : `pyarrow.Array`
        Null where there was no value, where it was NaN or infinite, and where
        a float32 cannot hold it.
    unfit : `numpy.ndarray` [bool], shape (n,)
        Rows whose value is none of the type: an integer out of range, a float
        with a fraction where a count must be. They are null.
    """

    values: pa.Array
    unfit: BoolArray


def plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column in one piece; categories and bytes as the text they stand for, without padding.

    FITS tables hold text as bytes padded with blanks or zeros.
    """
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays([*values.chunks, pa.array([], values.type)])
    if kinds.is_dictionary(values.type):
        values = values.dictionary_decode()
    if kinds.is_binary(values.type) or kinds.is_large_binary(values.type) or kinds.is_fixed_size_binary(values.type):
        values = values.cast(pa.binary()).cast(pa.string())
    return pc.utf8_trim(values, _PADDING) if kinds.is_string(values.type) else values


def mask_of(values: pa.Array) -> BoolArray:
    """Return an Arrow array of booleans without nulls as numpy's."""
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)


def converted(values: pa.Array, target: pa.DataType) -> Converted:
    """Return a column in one of Rubin's types.

    Parameters
    ----------
    values : `pyarrow.Array`
        In one piece, as `plain` gives it.
    target : `pyarrow.DataType`
        A float, an integer, boolean or string.

    Raises
    ------
    pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError
        If the column is of a kind that does not become the target.
    """
    if kinds.is_null(values.type):
        return Converted(pa.nulls(len(values), target), np.zeros(len(values), np.bool_))
    if (kinds.is_temporal(values.type) or kinds.is_boolean(values.type)) and _is_number(target):
        raise pa.ArrowInvalid(f"{values.type} is no number")
    if kinds.is_string(target):
        return Converted(values.cast(target), np.zeros(len(values), np.bool_))
    if kinds.is_floating(target):
        return Converted(finite(_numbers(values), target), np.zeros(len(values), np.bool_))
    if kinds.is_boolean(target):
        return _booleans(values)
    return _integers(values, target)


def _is_number(target: pa.DataType) -> bool:
    return bool(kinds.is_integer(target) or kinds.is_floating(target))


def _numbers(values: pa.Array) -> FloatArray:
    """Return float64, NaN for null; integers beyond 2**53 lose their last digits."""
    numbers = values.cast(pa.float64(), safe=kinds.is_string(values.type) or kinds.is_large_string(values.type))
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)


def _booleans(values: pa.Array) -> Converted:
    if kinds.is_boolean(values.type):
        return Converted(values, np.zeros(len(values), np.bool_))
    if kinds.is_string(values.type) or kinds.is_large_string(values.type):
        return Converted(values.cast(pa.bool_()), np.zeros(len(values), np.bool_))
    numbers = _numbers(values)
    known = ~np.isnan(numbers)
    unfit = known & ~np.isin(numbers, (0.0, 1.0))
    return Converted(pa.array(numbers == 1.0, mask=~known | unfit), unfit)


def _integers(values: pa.Array, target: pa.DataType) -> Converted:
    if kinds.is_floating(values.type):
        return _whole_numbers(_numbers(values), target, _EXACT[values.type])
    if kinds.is_uint64(values.type):
        beyond = mask_of(pc.fill_null(pc.greater(values, pa.scalar(np.iinfo(np.int64).max, pa.uint64())), False))
        fitting = _integers(pc.if_else(pa.array(beyond), None, values).cast(pa.int64()), target)
        return Converted(fitting.values, fitting.unfit | beyond)
    wide = values.cast(pa.int64())
    limits = np.iinfo(target.to_pandas_dtype())
    outside = pc.or_(pc.less(wide, int(limits.min)), pc.greater(wide, int(limits.max)))
    unfit = mask_of(pc.fill_null(outside, False))
    return Converted(pc.if_else(pa.array(unfit), None, wide).cast(target), unfit)


def _whole_numbers(numbers: FloatArray, target: pa.DataType, exact: int) -> Converted:
    limits = np.iinfo(target.to_pandas_dtype())
    known = ~np.isnan(numbers)
    least, greatest = max(limits.min, -exact), min(limits.max, exact)
    fits = (numbers >= least) & (numbers <= greatest) & (numbers == np.rint(numbers))
    whole = np.where(fits, numbers, 0.0).astype(target.to_pandas_dtype())
    return Converted(pa.array(whole, target, mask=~fits), known & ~fits)


def mjd_utc(timestamps: pa.Array) -> pa.Array:
    """Return timestamps of Arrow, which count UTC days of 86,400 s from 1970, as MJD UTC."""
    microseconds = timestamps.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    counted = np.asarray(microseconds.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    days, rest = np.divmod(counted, _DAY_MICROSECONDS)
    return pa.array(MJD_OF_UNIX_EPOCH + days + rest / _DAY_MICROSECONDS)
