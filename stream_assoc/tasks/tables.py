"""Catalogues as Rubin's users hold them, and as the rest of the package does.

An identifier above 2**53 does not survive a float64, so none of these
functions lets one pass through it.
"""

from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.table import Column, MaskedColumn
from astropy.table import Table as AstropyTable

from stream_assoc.model.batch import measured_columns
from stream_assoc.model.schema import apdb_table
from stream_assoc.model.types import FloatArray, IntArray
from stream_assoc.tasks.exceptions import CatalogError

Catalog: TypeAlias = pd.DataFrame | pa.Table | pa.RecordBatch | AstropyTable
"""What the tasks take: pandas, Arrow or astropy."""

UNIT = b"unit"
"""Key of a column's unit in the metadata of its Arrow field."""

_NULLABLE = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}

_MISSING_REQUIRED = 0
"""What a count that the table does not have becomes, as in upstream's schema conversion."""


def arrow_table(catalog: Catalog) -> pa.Table:
    """Return a catalogue as an Arrow table.

    Parameters
    ----------
    catalog : `pandas.DataFrame`, `pyarrow.Table`, `pyarrow.RecordBatch` or `astropy.table.Table`
        NaN of pandas and masked values of astropy become null. An index of
        pandas is left out.

    Returns
    -------
    table : `pyarrow.Table`
        The same columns; astropy's units in the metadata ``unit`` of each field.

    Raises
    ------
    CatalogError
        If it is something else, or holds a column of arrays.
    """
    if isinstance(catalog, pa.Table):
        return catalog
    if isinstance(catalog, pa.RecordBatch):
        return pa.Table.from_batches([catalog])
    if isinstance(catalog, pd.DataFrame):
        return pa.Table.from_pandas(catalog, preserve_index=False)
    if isinstance(catalog, AstropyTable):
        return _from_astropy(catalog)
    raise CatalogError(f"a catalogue is a pandas, Arrow or astropy table, not {type(catalog).__name__}")


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
        Every measured column in its Rubin type. One that the catalogue lacks
        is null, or 0 where the schema forbids null (counts such as ``psfNdata``).

    Raises
    ------
    CatalogError
        If an identifier or position is missing, an identifier is a float, or
        a column cannot be converted.
    """
    table = arrow_table(catalog)
    definition = apdb_table("DiaSource")
    schema = pa.schema([definition.column(name).arrow_field() for name in measured_columns()])
    columns = [measured_column(table, field) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def measured_column(table: pa.Table, field: pa.Field) -> pa.Array:
    """Return one column of a table in the type of a field, or a stand-in where it is missing.

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
    if pa.types.is_int64(field.type):
        _refuse_floats(values, field.name)
    if field.name in {"ra", "dec", "x", "y"}:
        # A source without a position is counted and dropped downstream, so it may come this far.
        values = values.fill_null(np.nan) if pa.types.is_floating(values.type) else values
    try:
        values = values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CatalogError(f"{field.name!r} cannot be made {field.type}: {error}") from error
    if not field.nullable and values.null_count:
        raise CatalogError(f"{field.name!r} is missing in {values.null_count} rows, and every DiaSource needs it")
    return values


def identifier_column(table: pa.Table, name: str) -> IntArray:
    """Return a column of identifiers, int64, shape (n,).

    Raises
    ------
    CatalogError
        If it is missing, has nulls, or is not of integers.
    """
    values = measured_column(table, pa.field(name, pa.int64(), nullable=False))
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)


def floats(table: pa.Table, name: str) -> FloatArray:
    """Return a column of measurements as float64, nulls as NaN; never for identifiers."""
    return np.asarray(_joined(table.column(name)).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _refuse_floats(values: pa.Array, name: str) -> None:
    if pa.types.is_floating(values.type):
        raise CatalogError(f"{name!r} is an identifier, and floats cannot hold it exactly: use int64 or Int64")


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _from_astropy(catalog: AstropyTable) -> pa.Table:
    fields, columns = [], []
    for name in catalog.colnames:
        values = _from_column(name, catalog[name])
        unit = str(catalog[name].unit or "")
        fields.append(pa.field(name, values.type, metadata={UNIT: unit.encode()}))
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _from_column(name: str, column: Column) -> pa.Array:
    masked = np.ma.asarray(column) if isinstance(column, MaskedColumn) else np.ma.asarray(np.asarray(column))
    if masked.ndim != 1:
        raise CatalogError(f"column {name!r} holds arrays of shape {masked.shape[1:]}; a catalogue holds scalars")
    values = masked.data
    # FITS tables are big-endian, Arrow is not.
    native = values.astype(values.dtype.newbyteorder("=")) if values.dtype.kind not in "OUS" else values.astype(str)
    return pa.array(native, mask=np.ma.getmaskarray(masked))
