"""The Avro schemas as they are checked in: their names, ids and versions, and loading them.

`stream_assoc.messaging.avro.schema_generation` makes the files.
"""

import functools
import importlib.resources
import json
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from stream_assoc.exceptions import reason_of
from stream_assoc.messaging.avro.wire import AvroSchema, KnownSchemas, rubin_schema_id
from stream_assoc.messaging.exceptions import AvroSchemaError

VERSION: Final = (1, 0)
SCHEMA_ID: Final = rubin_schema_id(*VERSION)
NAMESPACE: Final = f"stream_assoc.v{VERSION[0]}_{VERSION[1]}"
"""Stays while new fields have defaults: readers and registries match records by name."""

BATCH_SCHEMA_ID: Final = rubin_schema_id(1, 1)
OBJECT_SCHEMA_ID: Final = rubin_schema_id(1, 2)
METRICS_SCHEMA_ID: Final = rubin_schema_id(1, 3)

BATCH: Final = "dia_source_batch"
OBJECT: Final = "dia_object"
FORCED_SOURCE: Final = "dia_forced_source"
METRICS: Final = "association_metrics"
DEAD_LETTER: Final = "dead_letter"
NEXT_VISIT: Final = "next_visit"

NAMES: Final = (BATCH, OBJECT, FORCED_SOURCE, METRICS, DEAD_LETTER, NEXT_VISIT)
"""Of every schema."""

_SINCE: Final[dict[str, dict[int, tuple[str, ...]]]] = {
    BATCH: {BATCH_SCHEMA_ID: ("diaSources.ssObjectId",)},
    OBJECT: {rubin_schema_id(1, 1): ("statistics",), OBJECT_SCHEMA_ID: ("pluginStatistics",)},
    METRICS: {
        rubin_schema_id(1, 1): ("revision", "numWithdrawnDiaSources", "numClosedDiaObjects"),
        rubin_schema_id(1, 2): ("numForcedSources", "forcedPhotometryError"),
        METRICS_SCHEMA_ID: ("numDroppedSsObjects",),
    },
}
"""What each later version of a schema has that those before had not; a dot reaches into the records of an array."""


def schema_folder() -> Traversable:
    """Return where the schemas are: inside an installed wheel, or beside an editable checkout's package."""
    package = importlib.resources.files("stream_assoc")
    installed = package / "schemas"
    if installed.is_dir():
        return installed
    return Path(str(package)).parent / "schemas"


@functools.cache
def load_schema(name: str) -> AvroSchema:
    """Return the checked-in schema called ``name``; not to be modified.

    Raises
    ------
    AvroSchemaError
        If the file is missing or is not JSON.
    """
    file = schema_folder() / f"{name}.avsc"
    try:
        schema: AvroSchema = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AvroSchemaError(
            f"cannot read {file}: {reason_of(error)}; reinstall stream_assoc, or run `stream-assoc schemas generate`"
        ) from error
    return schema


def schema_id(name: str) -> int:
    """Return the id that the current version of a schema has without a registry."""
    return max(_SINCE.get(name, {}), default=SCHEMA_ID)


def known_schemas(name: str) -> KnownSchemas:
    """Return every version of a schema that is known without a registry."""
    schema = load_schema(name)
    versions = {schema_id(name): schema}
    for version, new in sorted(_SINCE.get(name, {}).items(), reverse=True):
        schema = _without(schema, new)
        versions[version - 1] = schema
    return KnownSchemas(versions)


def _without(schema: AvroSchema, names: tuple[str, ...]) -> AvroSchema:
    """Return a record without some of its fields."""
    kept = [field for field in schema["fields"] if field["name"] not in names]
    for name in names:
        outer, _, inner = name.partition(".")
        kept = [_without_inner(field, inner) if inner and field["name"] == outer else field for field in kept]
    return {**schema, "fields": kept}


def _without_inner(field: dict[str, Any], name: str) -> dict[str, Any]:
    return {**field, "type": {**field["type"], "items": _without(field["type"]["items"], (name,))}}
