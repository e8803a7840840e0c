"""The reference of the Avro schemas, from the schemas that are written and read."""

from collections.abc import Iterator, Mapping
from typing import Any

from documentation.markdown import head, table
from stream_assoc.messaging.avro.schemas import NAMES, load_schema

INTRODUCTION = """\
The columns of DIASources and DIAObjects, their units and descriptions are those of `lsst-sdm-schemas`. The
schema of a message is resolved against them, so a producer may omit columns that have a default and may add others.
Integers of 64 bits are ids: never read them as floating-point numbers.
"""


def page() -> str:
    """Return the page."""
    lines = [*head("Schemas", "the schemas"), INTRODUCTION]
    for name in NAMES:
        schema = load_schema(name)
        lines += [
            f"## {name}",
            "",
            f"[`schemas/{name}.avsc`](../../schemas/{name}.avsc). {schema.get('doc', '')}",
            "",
        ]
        inner: list[Mapping[str, Any]] = []
        lines += table(["field", "type", "unit", "meaning"], _rows(schema, inner))
        for record in inner:
            lines += [f"### {record['name']} in {name}", "", str(record.get("doc", "")), ""]
            lines += table(["field", "type", "unit", "meaning"], _rows(record, inner))
    return "\n".join(lines).rstrip() + "\n"


def _rows(schema: Mapping[str, Any], inner: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for field in schema["fields"]:
        yield (
            f"`{field['name']}`",
            type_name(field["type"], inner),
            str(field.get("unit", "")),
            str(field.get("doc", "")),
        )


def type_name(avro: Any, inner: list[Mapping[str, Any]]) -> str:  # noqa: ANN401 - Avro in JSON is anything
    """Return a type in words; records inside it are appended to ``inner``."""
    match avro:
        case list():
            words = [type_name(one, inner) for one in avro if one != "null"]
            return " or ".join(words) + (", or null" if "null" in avro else "")
        case {"type": "array", "items": items}:
            return f"array of {type_name(items, inner)}"
        case {"type": "map", "values": values}:
            return f"map of {type_name(values, inner)}"
        case {"type": "record", "name": name}:
            inner.append(avro)
            return str(name)
        case {"type": plain}:
            return type_name(plain, inner)
    return str(avro).rpartition(".")[2]
