"""Catalogues as Rubin's users hold them, and as the rest of the package does.

An identifier above 2**53 does not survive a float64, so none of these
functions lets one pass through it.
"""

from collections.abc import Collection
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from astropy import units as u
from astropy.table import Table as AstropyTable
from astropy.time import Time
from astropy.utils.masked import Masked

from stream_assoc.core.model.batch import measured_columns
from stream_assoc.core.model.floats import finite
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.model.units import UnitError, parsed_unit
from stream_assoc.core.model.units import unit_factor as factor_of
from stream_assoc.tasks.exceptions import CatalogError
from stream_assoc.tools.transform.conversion import converted, plain

Catalog: TypeAlias = pd.DataFrame | pa.Table | pa.RecordBatch | AstropyTable
"""What the tasks take: pandas, Arrow or astropy."""

UNIT = b"unit"
"""Key of a column's unit in the metadata of its Arrow field."""

_INSTRUMENTAL: Final = (u.ct, u.adu, u.DN, u.electron, u.dimensionless_unscaled)
_NULLABLE = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}

_MISSING_REQUIRED = 0
"""What a count that the table does not have becomes, as in upstream's schema conversion."""


def arrow_table(catalog: Catalog, names: Collection[str]) -> pa.Table:
    """Return columns of a catalogue as an Arrow table.

    Parameters
    ----------
    catalog : `pandas.DataFrame`, `pyarrow.Table`, `pyarrow.RecordBatch` or `astropy.table.Table`
        NaN of pandas and masked values of astropy become null. An index of
        pandas is left out. A `~astropy.time.Time` becomes MJD TAI.
    names : `~collections.abc.Collection` [`str`]
        The columns wanted. Those that are not there are left out, and
        whatever else is there is not looked at.

    Returns
    -------
    table : `pyarrow.Table`
        The columns in their order; units of Arrow and astropy in the metadata
        ``unit`` of each field.

    Raises
    ------
    CatalogError
        If it is something else, or a column wanted is there twice or holds no
        single values.
    """
    if isinstance(catalog, pa.RecordBatch):
        catalog = pa.Table.from_batches([catalog])
    if isinstance(catalog, AstropyTable):
        return _from_astropy(catalog, names)
    if not isinstance(catalog, pa.Table | pd.DataFrame):
        raise CatalogError(f"a catalogue is a pandas, Arrow or astropy table, not {type(catalog).__name__}")
    present = catalog.column_names if isinstance(catalog, pa.Table) else catalog.columns.tolist()
    wanted = [name for name in present if name in names]
    if len(set(wanted)) < len(wanted):
        twice = next(name for name in wanted if wanted.count(name) > 1)
        raise CatalogError(f"the catalogue has column {twice!r} {wanted.count(twice)} times; keep one of them")
    if isinstance(catalog, pa.Table):
        return catalog.select(wanted)
    return pa.table({name: _array(name, catalog[name], from_pandas=True) for name in wanted})


def data_frame(table: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """Return an Arrow table as pandas, integers and booleans never as floats.

    Returns
    -------
    frame : `pandas.DataFrame`
        Integers and booleans of a column that may hold nulls have pandas' own
        nullable types (``Int64``), the others numpy's; nulls of floats are NaN.
    """
    columns = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        columns[field.name] = column.to_pandas(types_mapper=_NULLABLE.get if field.nullable else None)
    return pd.DataFrame(columns)


def dia_source_batch(catalog: Catalog) -> pa.RecordBatch:
    """Return the measured DiaSource columns of a catalogue that is named as the schema is.

    Parameters
    ----------
    catalog : `Catalog`
        Has at least ``diaSourceId``, ``ra``, ``dec``, ``x`` and ``y``; columns
        that are not measured ones are left out.

    Returns
    -------
    sources : `pyarrow.RecordBatch`
        Every measured column in its Rubin type and unit; see `measured_column`.
        One that the catalogue lacks is null, or 0 where the schema forbids
        null (counts such as ``psfNdata``).

    Raises
    ------
    CatalogError
        If an identifier or position is missing, an identifier is a float, or
        a column cannot be converted.
    """
    schema = dia_source_schema()
    table = arrow_table(catalog, schema.names)
    if len(catalog) == 0:
        return pa.RecordBatch.from_pylist([], schema=schema)
    return pa.RecordBatch.from_arrays([measured_column(table, field) for field in schema], schema=schema)


def dia_source_schema() -> pa.Schema:
    """Return the Arrow schema of the measured DiaSource columns."""
    definition = apdb_table("DiaSource")
    return pa.schema([definition.column(name).arrow_field() for name in measured_columns()])


def measured_column(table: pa.Table, field: pa.Field) -> pa.Array:
    """Return one column of a table in the type and unit of a field, or a stand-in where it is missing.

    A unit in the metadata of both is converted; a column without one is in
    that of the field. A number that the type cannot hold, or that is not
    finite, is null where the field admits it.

    Raises
    ------
    CatalogError
        See `dia_source_batch`.
    """
    if field.name not in table.schema.names:
        if field.nullable:
            return pa.nulls(table.num_rows, field.type)
        if not pa.types.is_int32(field.type):
            raise CatalogError(f"the catalogue has no column {field.name!r}, which every DiaSource needs")
        return pa.repeat(pa.scalar(_MISSING_REQUIRED, field.type), table.num_rows)
    values = _joined(table.column(field.name))
    _refuse_no_numbers(values.type, field)
    if pa.types.is_int64(field.type):
        values = _identifiers(values, field)
    if field.name in {"ra", "dec", "x", "y"}:
        # A source without a position is counted and dropped downstream, so it may come this far.
        values = values.fill_null(np.nan) if pa.types.is_floating(values.type) else values
    values = _converted(values, table.schema.field(field.name), field)
    try:
        if field.nullable and pa.types.is_floating(field.type):
            return finite(np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False)), field.type)
        if pa.types.is_boolean(field.type):
            return _booleans(values, field)
        values = values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CatalogError(f"{field.name!r} cannot be made {field.type}: {error}") from error
    if not field.nullable and values.null_count:
        raise CatalogError(f"{field.name!r} is missing in {values.null_count} rows, and every DiaSource needs it")
    return values


def identifier_column(table: pa.Table, name: str, missing: int | None = None) -> IntArray:
    """Return a column of identifiers, int64, shape (n,).

    Parameters
    ----------
    table : `pyarrow.Table`
    name : `str`
    missing : `int`, optional
        What stands for null; `None`: null is refused.

    Raises
    ------
    CatalogError
        If it is missing, has nulls, or is not of integers.
    """
    if name not in table.schema.names:
        raise CatalogError(f"the catalogue has no column {name!r}")
    values = measured_column(table, pa.field(name, pa.int64(), nullable=missing is not None))
    if missing is not None:
        values = values.fill_null(missing)
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)


def floats(table: pa.Table, name: str, unit: str | None = None) -> FloatArray:
    """Return a column of measurements as float64, nulls as NaN; never for identifiers.

    Parameters
    ----------
    table : `pyarrow.Table`
    name : `str`
    unit : `str`, optional
        The unit wanted; `None`: as it is.

    Raises
    ------
    CatalogError
        If the column is missing, is of no numbers, or of another kind of unit.
    """
    if name not in table.schema.names:
        raise CatalogError(f"the catalogue has no column {name!r}")
    _refuse_no_numbers(table.schema.field(name).type, pa.field(name, pa.float64()))
    try:
        values = _joined(table.column(name)).cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CatalogError(f"{name!r} holds values that are not numbers: {error}") from error
    factor = 1.0 if unit is None else unit_factor(unit_of(table, name), unit, name)
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64) * factor


def flag_of(table: pa.Table, name: str) -> BoolArray:
    """Return a flag, 0 and 1 or a boolean; null is not set."""
    values = pc.fill_null(table.column(name).cast(pa.bool_()), False)
    return np.asarray(values.to_numpy(), np.bool_)


def unit_factor(unit: str, target: str, column: str) -> float:
    """Return what a column's values are to be multiplied by; see `stream_assoc.core.model.units.unit_factor`.

    Raises
    ------
    CatalogError
        If the unit is not known, is of another kind, or is logarithmic.
    """
    try:
        return factor_of(unit, target, column)
    except UnitError as error:
        raise CatalogError(str(error)) from None


def is_instrumental(unit: str, column: str) -> bool:
    """Tell whether a flux is in counts of a detector, or says nothing, and so is still to be calibrated."""
    try:
        return not unit or any(parsed_unit(unit, column).is_equivalent(one) for one in _INSTRUMENTAL)
    except UnitError as error:
        raise CatalogError(str(error)) from None


def unit_of(table: pa.Table, name: str) -> str:
    """Return the unit of a column; empty where it tells none."""
    return _unit(table.schema.field(name)) or ""


def _unit(field: pa.Field) -> str | None:
    unit = (field.metadata or {}).get(UNIT)
    return None if unit is None else unit.decode()


def _converted(values: pa.Array, given: pa.Field, wanted: pa.Field) -> pa.Array:
    unit, target = _unit(given), _unit(wanted)
    if not unit or target is None:
        return values
    factor = unit_factor(unit, target, given.name)
    return values if factor == 1.0 else pc.multiply(values.cast(pa.float64()), factor)


def _booleans(values: pa.Array, field: pa.Field) -> pa.Array:
    """Return 0 and 1 as truth values; Arrow takes NaN, and whatever is not 0, for true."""
    made = converted(plain(values), field.type)
    if made.unfit.any():
        raise CatalogError(f"{field.name!r} has {np.count_nonzero(made.unfit)} values that are neither 0 nor 1")
    return made.values


def _refuse_no_numbers(given: pa.DataType, field: pa.Field) -> None:
    """Arrow takes dates, durations and truth values for the numbers they are held as."""
    is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    if is_number and (pa.types.is_temporal(given) or pa.types.is_boolean(given)):
        raise CatalogError(f"{field.name!r} is {given}; it must be a column of numbers")


def _identifiers(values: pa.Array, field: pa.Field) -> pa.Array:
    """Return identifiers; of floats, which pandas makes of integers with gaps, only those that hold them exactly."""
    if not pa.types.is_floating(values.type):
        return values
    made = converted(values, field.type)
    if not field.nullable or made.unfit.any():
        raise CatalogError(f"{field.name!r} is an identifier, and floats cannot hold it exactly: use int64 or Int64")
    return made.values


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _from_astropy(catalog: AstropyTable, names: Collection[str]) -> pa.Table:
    fields, columns = [], []
    for name in catalog.colnames:
        if name not in names:
            continue
        values, unit = _from_column(name, catalog[name])
        fields.append(pa.field(name, values.type, metadata={UNIT: unit.encode()}))
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _from_column(name: str, column: Any) -> tuple[pa.Array, str]:  # noqa: ANN401 - astropy admits any mixin
    """Return the values of a column of astropy, and its unit."""
    if isinstance(column, Time):
        column, unit = column.tai.mjd, "d"
    else:
        unit = str(getattr(column, "unit", None) or "")
    if isinstance(column, Masked):
        column = np.ma.array(np.asarray(column.unmasked), mask=column.mask)
    masked = np.ma.asarray(column if isinstance(column, np.ma.MaskedArray) else np.asarray(column))
    if masked.ndim != 1 or masked.dtype.names is not None:
        raise CatalogError(
            f"column {name!r} is {type(column).__name__} of shape {np.shape(column)}; a catalogue holds single values"
        )
    values = masked.data
    if values.dtype.kind in "SU":
        values = values.astype(str)
    elif values.dtype.kind != "O":
        # FITS tables are big-endian, Arrow is not.
        values = values.astype(values.dtype.newbyteorder("="))
    return _array(name, values, mask=np.ma.getmaskarray(masked)), unit


def _array(name: str, values: Any, **options: Any) -> pa.Array:  # noqa: ANN401 - whatever a table holds
    try:
        array = pa.array(values, **options)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise CatalogError(f"column {name!r} cannot be read: {error}") from error
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
