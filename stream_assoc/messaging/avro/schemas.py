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
from stream_assoc.messaging.avro.wire import (
    AvroSchema,
    KnownSchemas,
    TopicSchemas,
    WriterSchemas,
    own_schema_id,
    rubin_schema_id,
)
from stream_assoc.messaging.exceptions import AvroSchemaError

VERSION: Final = (1, 0)
NAMESPACE: Final = f"stream_assoc.v{VERSION[0]}_{VERSION[1]}"
"""Stays while new fields have defaults: readers and registries match records by name."""

BATCH: Final = "dia_source_batch"
OBJECT: Final = "dia_object"
FORCED_SOURCE: Final = "dia_forced_source"
METRICS: Final = "association_metrics"
DEAD_LETTER: Final = "dead_letter"
NEXT_VISIT: Final = "next_visit"

NAMES: Final = (BATCH, OBJECT, FORCED_SOURCE, METRICS, DEAD_LETTER, NEXT_VISIT)
"""Of every schema. The place of a name is part of its ids: a new one comes last."""

_SINCE: Final[dict[str, dict[int, tuple[str, ...]]]] = {
    BATCH: {1: ("diaSources.ssObjectId",), 2: ("templateImageUri", "observationReason", "targetName")},
    OBJECT: {1: ("statistics",), 2: ("pluginStatistics",)},
    METRICS: {
        1: ("revision", "numWithdrawnDiaSources", "numClosedDiaObjects"),
        2: ("numForcedSources", "forcedPhotometryError"),
        3: ("numDroppedSsObjects",),
    },
}
"""What each later minor version has that those before had not; a dot reaches into the records of an array."""

_LAST_BY_RUBINS_RULE: Final = {BATCH: 1, OBJECT: 2, METRICS: 3}
"""The last minor version that was written under an id without the schema's number; 0 of the others."""


def schema_id(name: str, minor: int | None = None) -> int:
    """Return the id that a version of a schema has without a registry, the current one by default."""
    if minor is None:
        minor = max(_SINCE.get(name, {}), default=VERSION[1])
    return own_schema_id(NAMES.index(name) + 1, VERSION[0], minor)


BATCH_SCHEMA_ID: Final = schema_id(BATCH)
OBJECT_SCHEMA_ID: Final = schema_id(OBJECT)
FORCED_SOURCE_SCHEMA_ID: Final = schema_id(FORCED_SOURCE)
METRICS_SCHEMA_ID: Final = schema_id(METRICS)
DEAD_LETTER_SCHEMA_ID: Final = schema_id(DEAD_LETTER)
NEXT_VISIT_SCHEMA_ID: Final = schema_id(NEXT_VISIT)


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


@functools.cache
def known_schemas(name: str) -> KnownSchemas:
    """Return every version of a schema that is known without a registry, by its ids.

    Versions of the first releases have two: they were written under
    ``major * 100 + minor``, whichever schema it was.
    """
    schema = load_schema(name)
    since = _SINCE.get(name, {})
    versions = {}
    for minor in range(max(since, default=0), -1, -1):
        versions[schema_id(name, minor)] = schema
        if minor <= _LAST_BY_RUBINS_RULE.get(name, 0):
            versions[rubin_schema_id(VERSION[0], minor)] = schema
        schema = _without(schema, since.get(minor, ()))
    return KnownSchemas(versions)


def writer_schemas(name: str, registry: WriterSchemas | None) -> WriterSchemas:
    """Return where the writer schemas of one topic are found.

    Parameters
    ----------
    name : `str`
        Of the schema that the topic is read with.
    registry : `WriterSchemas` or `None`
        Whom to ask for ids that are not our own.
    """
    known = known_schemas(name)
    return known if registry is None else TopicSchemas(known, registry)


def _without(schema: AvroSchema, names: tuple[str, ...]) -> AvroSchema:
    """Return a record without some of its fields."""
    kept = [field for field in schema["fields"] if field["name"] not in names]
    for name in names:
        outer, _, inner = name.partition(".")
        kept = [_without_inner(field, inner) if inner and field["name"] == outer else field for field in kept]
    return {**schema, "fields": kept}


def _without_inner(field: dict[str, Any], name: str) -> dict[str, Any]:
    return {**field, "type": {**field["type"], "items": _without(field["type"]["items"], (name,))}}
