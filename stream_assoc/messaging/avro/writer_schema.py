"""A writer's schema before anything is read with it: what it says of the encoding, and what reading it may cost.

Writer schemas come from a Schema Registry that others write to, so they are
no more to be trusted than messages. A small message of a hostile schema can
mean a thousand million array items that take no byte each, or a record of a
thousand columns that is absent in one byte. Such schemas are refused, so that
what a message takes in memory is bounded by its length.
"""

from typing import Any, Final, NamedTuple

from stream_assoc.messaging.avro.wire import AvroSchema, AvroType
from stream_assoc.messaging.exceptions import DecodeError

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
