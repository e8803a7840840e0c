"""Schema resolution on columns: what an old or a newer writer wrote, as the current reader wants it.

The rules are those of the Avro specification ("Schema Resolution") for
records: fields are found by name, an unknown field is ignored, a missing one
takes its default, and a number may become a wider one. Working on columns, an
old producer costs no more than a current one, so a fleet of producers can be
upgraded after its consumers.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.types as kinds

from stream_assoc.messaging.avro.wire import AvroSchema, AvroType
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


MAX_DEPTH: Final = 8
"""Levels of records, arrays, maps and unions; a batch has five."""

MAX_TYPES: Final = 5_000
"""Types in one schema; a batch has some three hundred."""

MAX_CELLS_PER_BYTE: Final = 2
"""Values that one byte of an array may stand for; a source of a batch has fewer values than bytes."""

_LEAST_BYTES: Final = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "string": 1}
_UNREADABLE: Final = frozenset({"bytes", "fixed"})


class _Cost(NamedTuple):
    """Of one value: the bytes it takes at least, and the cells of columns it fills at most."""

    least_bytes: int
    cells: int


def readable(schema: AvroSchema) -> AvroSchema:
    """Return the encoding that a writer schema describes, without what does not change it.

    Logical types, defaults and documentation are left out, and integers become
    64-bit ones, which have the same encoding.

    Raises
    ------
    DecodeError
        With the reason ``incompatible_schema`` if the schema is none, is
        recursive or very deep, uses ``bytes`` or ``fixed``, which the reader
        has no columns for, or lets a few bytes stand for many values.
    """
    encoding, _ = _Reader().record(schema, 0)
    return encoding


class _Reader:
    """Reads one schema, counting its types."""

    def __init__(self) -> None:
        self._n_types = 0

    def record(self, schema: AvroSchema, depth: int) -> tuple[AvroSchema, _Cost]:
        fields = schema.get("fields")
        if not isinstance(fields, list) or not all(isinstance(field, dict) for field in fields):
            raise _refusal("a record has no list of fields")
        read = [self.type(field.get("type"), depth + 1) for field in fields]
        encoding: AvroSchema = {key: schema[key] for key in ("type", "name", "namespace") if key in schema}
        encoding["fields"] = [
            {"name": field.get("name"), "type": avro_type} for field, (avro_type, _) in zip(fields, read, strict=True)
        ]
        costs = [cost for _, cost in read]
        return encoding, _Cost(sum(cost.least_bytes for cost in costs), 1 + sum(cost.cells for cost in costs))

    def type(self, avro_type: object, depth: int) -> tuple[AvroType, _Cost]:
        self._n_types += 1
        if depth > MAX_DEPTH or self._n_types > MAX_TYPES:
            raise _refusal(f"it is deeper than {MAX_DEPTH} levels, or has more than {MAX_TYPES} types")
        if isinstance(avro_type, list):
            return self._union(avro_type, depth)
        if isinstance(avro_type, dict):
            return self._complex(avro_type, depth)
        if not isinstance(avro_type, str) or avro_type not in _LEAST_BYTES:
            raise _refusal(
                f"it has a field of type {str(avro_type)[:40]!r}; "
                + ("leave that field out" if avro_type in _UNREADABLE else "write each type out where it is used")
            )
        return "long" if avro_type == "int" else avro_type, _Cost(_LEAST_BYTES[avro_type], 1)

    def _union(self, branches: list[Any], depth: int) -> tuple[AvroType, _Cost]:
        read = [self.type(branch, depth + 1) for branch in branches]
        # What a branch costs is paid for every value, also where another one is taken.
        return [avro_type for avro_type, _ in read], _Cost(1, sum(cost.cells for _, cost in read))

    def _complex(self, avro_type: dict[str, Any], depth: int) -> tuple[AvroType, _Cost]:
        match avro_type.get("type"):
            case "record":
                return self.record(avro_type, depth)
            case "array":
                items, cost = self.type(avro_type.get("items"), depth + 1)
                if cost.cells > MAX_CELLS_PER_BYTE * cost.least_bytes:
                    raise _refusal(
                        f"{cost.least_bytes} bytes of an array may stand for {cost.cells} values; "
                        "make optional records plain ones"
                    )
                return {"type": "array", "items": items}, _Cost(1, 1)
            case "map":
                values, cost = self.type(avro_type.get("values"), depth + 1)
                if cost.cells > MAX_CELLS_PER_BYTE * (cost.least_bytes + 1):
                    raise _refusal(f"{cost.least_bytes + 1} bytes of a map may stand for {cost.cells} values")
                return {"type": "map", "values": values}, _Cost(1, 1)
            case "enum":
                return {key: avro_type[key] for key in ("type", "name", "symbols") if key in avro_type}, _Cost(1, 1)
            case inner:
                return self.type(inner, depth + 1)


def _refusal(why: str) -> DecodeError:
    return DecodeError(f"the writer schema cannot be read: {why}", "incompatible_schema")
