"""Rows of a database as Arrow tables in Rubin's types."""

from collections.abc import Sequence

import pyarrow as pa

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.reading.port import Row


def table_of(name: str, columns: Sequence[str], rows: Sequence[Row]) -> pa.Table:
    """Return rows of an APDB table as an Arrow table.

    Parameters
    ----------
    name : `str`
        The APDB table.
    columns : sequence of `str`
        Its columns that each row holds, in order.
    rows : sequence of `tuple`
        What the database returned; SQLite keeps booleans as 0 and 1.
    """
    schema = pa.schema([apdb_table(name).column(column).arrow_field() for column in columns])
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [
        pa.array([None if value is None else bool(value) for value in column], field.type)
        if pa.types.is_boolean(field.type)
        else pa.array(column, field.type)
        for column, field in zip(values, schema, strict=True)
    ]
    # The schema's claim that a column is never null is the database's to keep, not ours to check here.
    return pa.Table.from_arrays(arrays, schema=pa.schema([field.with_nullable(True) for field in schema]))
