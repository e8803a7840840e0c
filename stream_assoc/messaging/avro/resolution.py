"""Schema resolution on columns: what an old or a newer writer wrote, as the current reader wants it.

The rules are those of the Avro specification ("Schema Resolution") for
records: fields are found by name, an unknown field is ignored, a missing one
takes its default, and a number may become a wider one. Working on columns, an
old producer costs no more than a current one, so a fleet of producers can be
upgraded after its consumers.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from stream_assoc.messaging.exceptions import DecodeError


def resolve(
    written: Mapping[str, pa.Array], n_rows: int, fields: Sequence[dict[str, Any]], target: pa.Schema
) -> pa.RecordBatch:
    """Return the reader's columns.

    Parameters
    ----------
    written : `~collections.abc.Mapping` [`str`, `pyarrow.Array`]
        What the writer wrote, integers as int64.
    n_rows : `int`
        The rows there are, should no column tell.
    fields : `~collections.abc.Sequence` [`dict`]
        The reader's Avro fields.
    target : `pyarrow.Schema`
        Name, type and nullability of each of them.

    Raises
    ------
    DecodeError
        With the reason ``missing_columns`` if a field without a default was
        not written or is null, ``incompatible_schema`` if it was written as a
        type that cannot become the reader's, ``undecodable`` if a number does
        not fit.
    """
    missing = [field["name"] for field in fields if field["name"] not in written and "default" not in field]
    if missing:
        raise DecodeError(
            f"the message has no {', '.join(missing)}; write with a schema that has these columns", "missing_columns"
        )
    columns = [
        _converted(written[field["name"]], wanted) if field["name"] in written else _default(field, wanted, n_rows)
        for field, wanted in zip(fields, target, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=target)


def items(written: pa.RecordBatch, field: dict[str, Any]) -> tuple[dict[str, pa.Array], list[int]]:
    """Return the columns of a list of records, over all rows, and where the items of each row begin.

    Parameters
    ----------
    written : `pyarrow.RecordBatch`
        What the writer wrote.
    field : `dict`
        The reader's field, an array of records.

    Returns
    -------
    columns : `dict` [`str`, `pyarrow.Array`]
        Of the items of all rows, one row after the other.
    offsets : `list` [`int`]
        One more than there are rows: row ``i`` has the items ``offsets[i]:offsets[i + 1]``.

    Raises
    ------
    DecodeError
        With the reason ``missing_columns`` or ``incompatible_schema``.
    """
    name = field["name"]
    if name not in written.schema.names:
        if "default" not in field:
            raise DecodeError(f"the message has no {name}; write with a schema that has it", "missing_columns")
        return {item["name"]: pa.nulls(0) for item in field["type"]["items"]["fields"]}, [0] * (written.num_rows + 1)
    values = written.column(name)
    if not kinds.is_list(values.type) or not kinds.is_struct(values.type.value_type):
        raise DecodeError(f"{name} was written as {values.type}, not as an array of records", "incompatible_schema")
    records = values.flatten()
    columns = {child.name: records.field(index) for index, child in enumerate(records.type)}
    lengths = values.value_lengths().fill_null(0).to_pylist()
    return columns, list(itertools.accumulate(lengths, initial=0))


def _default(field: dict[str, Any], wanted: pa.Field, n_rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(field["default"], wanted.type), n_rows)


def _converted(values: pa.Array, wanted: pa.Field) -> pa.Array:
    if kinds.is_struct(wanted.type) and kinds.is_struct(values.type):
        return _converted_record(values, wanted)
    if not _promotable(values.type, wanted.type):
        raise DecodeError(
            f"{wanted.name} was written as {values.type}, which cannot become {wanted.type} without loss",
            "incompatible_schema",
        )
    if values.null_count and not wanted.nullable:
        raise DecodeError(f"{wanted.name} is null in {values.null_count} rows; it is required", "missing_columns")
    if values.type == wanted.type:
        return values
    try:
        return values.cast(wanted.type, safe=kinds.is_integer(wanted.type))
    except pa.ArrowInvalid as error:
        raise DecodeError(f"{wanted.name} holds a number out of range: {error}", "undecodable") from error


def _converted_record(values: pa.StructArray, wanted: pa.Field) -> pa.Array:
    """Return a record of nullable fields, found by name; one that was not written is null."""
    written = {child.name: values.field(index) for index, child in enumerate(values.type)}
    children = [
        _converted(written[child.name], child) if child.name in written else pa.nulls(len(values), child.type)
        for child in wanted.type
    ]
    return pa.StructArray.from_arrays(children, fields=list(wanted.type), mask=values.is_null())


def _promotable(written: pa.DataType, wanted: pa.DataType) -> bool:
    if written == wanted or kinds.is_null(written):
        return True
    if kinds.is_integer(written):
        return bool(kinds.is_integer(wanted) or kinds.is_floating(wanted))
    return bool(kinds.is_float32(written) and kinds.is_float64(wanted))
