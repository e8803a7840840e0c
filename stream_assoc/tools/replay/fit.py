"""Whether an Avro file was written in a schema that batches can be read from, told field by field."""

from collections.abc import Iterator
from typing import Any, Final

_WIDER: Final = {"int": ("long", "float", "double"), "long": ("float", "double"), "float": ("double",)}
"""What the reader may make of a number, by the Avro specification."""


def misfits(written: Any, wanted: Any) -> list[str]:  # noqa: ANN401 - any Avro schema
    """Return what of a schema cannot be read as another one.

    Parameters
    ----------
    written, wanted : Avro schemas, as `json.loads` gives them
        The writer's and the reader's.

    Returns
    -------
    misfits : `list` [`str`]
        One sentence a field, fields of records in arrays as ``array.field``;
        empty if all fits.
    """
    return list(_misfits(written, wanted, ""))


def _misfits(written: Any, wanted: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    kinds = (_kind(written), _kind(wanted))
    if kinds == ("record", "record"):
        yield from _of_records(written, wanted, place)
    elif kinds == ("array", "array"):
        yield from _misfits(written["items"], wanted["items"], place)
    elif "union" in kinds:
        branches = written if kinds[0] == "union" else [written]
        given = [branch for branch in branches if _kind(branch) != "null"]
        targets = [branch for branch in (wanted if kinds[1] == "union" else [wanted]) if _kind(branch) != "null"]
        for branch in given:
            if targets and all(list(_misfits(branch, target, place)) for target in targets):
                yield from _misfits(branch, targets[0], place)
    elif kinds[0] != kinds[1] and kinds[1] not in _WIDER.get(kinds[0], ()):
        yield f"{place or 'a record'} is {kinds[0]}, not {kinds[1]}"


def _of_records(written: Any, wanted: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    given = {field["name"]: field["type"] for field in written["fields"]}
    for field in wanted["fields"]:
        inner = f"{place}.{field['name']}" if place else field["name"]
        if field["name"] in given:
            yield from _misfits(given[field["name"]], field["type"], inner)
        elif "default" not in field:
            yield f"{inner} is missing"


def _kind(schema: Any) -> str:  # noqa: ANN401
    if isinstance(schema, list):
        return "union"
    kind = schema["type"] if isinstance(schema, dict) else schema
    return _kind(kind) if isinstance(kind, dict | list) else str(kind)
