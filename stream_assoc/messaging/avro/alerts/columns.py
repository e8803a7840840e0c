"""Columns of the APDB's tables to the fields of an alert's records.

Rubin's latest schemas call their fields what the columns are called. Older ones
have some under other names, have times of processing in microseconds UTC,
and have fields that no table holds any more: those are null.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.times import unix_microseconds
from stream_assoc.messaging.avro.codec import arrow_field, contiguous
from stream_assoc.messaging.avro.row_writer import RowWriter
from stream_assoc.messaging.avro.wire import AvroSchema, AvroType
from stream_assoc.messaging.exceptions import AvroSchemaError, EncodeError

_COLUMN_OF: Final = {
    "is_negative": "isNegative",
    "time_processed": "timeProcessedMjdTai",
    "validityStart": "validityStartMjdTai",
}
"""The columns of fields that older schemas call otherwise."""


class TableWriter:
    """Writes rows of a table of the APDB as data of a record of an alert.

    Parameters
    ----------
    table : `str`
        The table's name.
    schema : `dict`
        The record's schema.
    prefix : `bytes`, optional
        What every datum begins with.

    Raises
    ------
    AvroSchemaError
        If the record requires a field that is no column of the table.
    """

    def __init__(self, table: str, schema: AvroSchema, prefix: bytes = b"") -> None:
        known = set(apdb_table(table).names)
        fields = [{**field, "type": _plain(field["type"])} for field in schema["fields"]]
        self._is_time = {field["name"] for field in schema["fields"] if isinstance(field["type"], dict)}
        self._arrow_schema = pa.schema(list(map(arrow_field, fields)))
        self._column_of = {
            field.name: column
            for field in self._arrow_schema
            if (column := _COLUMN_OF.get(field.name, field.name)) in known
        }
        lacking = [one.name for one in self._arrow_schema if not one.nullable and one.name not in self._column_of]
        if lacking:
            raise AvroSchemaError(
                f"{schema['name']} requires {', '.join(lacking)}, which {table} has not; "
                "choose another version of the alert schema"
            )
        self._writer = RowWriter({**schema, "fields": fields}, prefix)

    def write(self, rows: pa.Table) -> pa.LargeBinaryArray:
        """Return one datum for each row; NaN is null where the schema allows it.

        Raises
        ------
        EncodeError
            If a column is missing, of another type than Rubin's, or null where a value is required.
        """
        given = set(rows.column_names)
        missing = [column for column in self._column_of.values() if column not in given]
        if missing:
            raise EncodeError(f"the rows have no {', '.join(missing)}; give every column of the table")
        columns = [self._column(rows, field) for field in self._arrow_schema]
        return self._writer.write(pa.RecordBatch.from_arrays(columns, names=self._arrow_schema.names))

    def _column(self, rows: pa.Table, field: pa.Field) -> pa.Array:
        name = self._column_of.get(field.name)
        if name is None:
            return pa.nulls(rows.num_rows, field.type)
        column = contiguous(rows.column(name))
        if field.name in self._is_time:
            return pa.array(unix_microseconds(np.asarray(column)))
        # Avro has no 16-bit integer.
        return column.cast(pa.int32()) if column.type == pa.int16() else column


def _plain(avro_type: AvroType) -> Any:  # noqa: ANN401 - a name, or a union of two
    """Return a type without what it means: a time is a number."""
    return avro_type["type"] if isinstance(avro_type, dict) else avro_type
