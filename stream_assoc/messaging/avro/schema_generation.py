"""How the Avro schemas are made from ``lsst-sdm-schemas``.

``stream-assoc schemas generate`` writes them to ``schemas/``. The files are what
producers and subscribers are given; this module is what makes them agree with the
APDB, column by column, unit by unit.
"""

import json
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Final

from stream_assoc.core.model.batch import VISIT_COLUMNS, measured_columns
from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.schema import PIXEL_ID, Column, apdb_table
from stream_assoc.messaging.avro.schemas import (
    BATCH,
    DEAD_LETTER,
    FORCED_SOURCE,
    METRICS,
    NAMES,
    NAMESPACE,
    NEXT_VISIT,
    OBJECT,
)
from stream_assoc.messaging.avro.wire import AvroSchema, AvroType
from stream_assoc.messaging.exceptions import AvroSchemaError

# Avro has no 16-bit integer; what is short in the APDB travels as an int.
_AVRO_TYPES: Final = {
    "long": "long",
    "int": "int",
    "short": "int",
    "double": "double",
    "float": "float",
    "boolean": "boolean",
    "char": "string",
    "string": "string",
    "text": "string",
}
_PYTHON_TYPES: Final = {int: "long", float: "double", str: "string"}
_COUNT_DEFAULT: Final = 0


def _field(
    name: str, avro_type: AvroType, doc: str, unit: str = "", **default: AvroType | float | None
) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": avro_type, **default, "doc": doc}
    return field | {"unit": unit} if unit else field


def _nullable(name: str, avro_type: str, doc: str, unit: str = "") -> dict[str, Any]:
    return _field(name, ["null", avro_type], doc, unit, default=None)


def _record(name: str, doc: str, record_fields: Iterable[dict[str, Any]]) -> AvroSchema:
    return {"type": "record", "name": name, "doc": doc, "fields": list(record_fields)}


def _array(items: AvroSchema) -> AvroSchema:
    return {"type": "array", "items": items}


def _column(column: Column, *, required: bool = False) -> dict[str, Any]:
    if column.datatype not in _AVRO_TYPES:
        raise AvroSchemaError(f"{column.name} has the type {column.datatype!r}, which no Avro type is chosen for")
    avro_type = _AVRO_TYPES[column.datatype]
    if column.nullable and not required:
        return _nullable(column.name, avro_type, column.description, column.unit)
    return _field(column.name, avro_type, column.description, column.unit)


def _measured(column: Column) -> dict[str, Any]:
    field = _column(column)
    # Pixel counts: a producer that does not fit this model has used no pixels for it.
    return field | {"default": _COUNT_DEFAULT} if field["type"] == "int" else field


def _batch_schema() -> AvroSchema:
    source = apdb_table("DiaSource")
    visit = {name: _column(source.column(name), required=True) for name in VISIT_COLUMNS}
    exposure_time = source.column("exposureTime")
    position = (
        _field("ra", "double", "Right ascension, ICRS.", "deg"),
        _field("dec", "double", "Declination, ICRS.", "deg"),
    )
    vertex = _record("SkyVertex", "A corner of the footprint.", position)
    moving = _record(
        "SolarSystemObject",
        "Predicted position of a solar-system object at the midpoint of the visit.",
        (_field("ssObjectId", "long", "Unique identifier of the object."), *position),
    )
    dia_source = _record(
        "DiaSource",
        "A detection on the difference image: the DiaSource columns that a producer fills.",
        (_measured(source.column(name)) for name in measured_columns()),
    )
    return _record(
        "DiaSourceBatch",
        "The DIASources of one visit and detector.",
        (
            visit["visit"],
            visit["detector"],
            visit["band"],
            visit["midpointMjdTai"],
            _nullable("exposureTime", "float", exposure_time.description, exposure_time.unit),
            _field(
                "footprint", _array(vertex), "Outline of the detector: a convex polygon of at least three vertices."
            ),
            _nullable("differenceImageUri", "string", "The difference image, for forced photometry and cutouts."),
            _nullable("scienceImageUri", "string", "The science image, for forced photometry and cutouts."),
            _nullable("templateImageUri", "string", "The template that was subtracted, for cutouts."),
            _nullable("observationReason", "string", "Why the visit was taken, as its scheduler says; for alerts."),
            _nullable("targetName", "string", "What the visit was pointed at; for alerts."),
            _field(
                "solarSystemObjects",
                _array(moving),
                "Known solar-system objects expected in the footprint.",
                default=[],
            ),
            _field("diaSources", _array(dia_source), "The detections; may be empty."),
        ),
    )


def _object_schema() -> AvroSchema:
    return _record(
        "DiaObject",
        "A new version of a DIAObject. The key of the message is diaObjectId as decimal text.",
        (*map(_column, (*apdb_table("DiaObject").columns, PIXEL_ID)), _statistics_field(), _plugin_field()),
    )


def _statistics_field() -> dict[str, Any]:
    statistics = _record(
        "DiaObjectStatistics",
        "Statistics that the APDB schema has no column for; null is what is undefined or not computed.",
        map(_column, further_statistics()),
    )
    text = "Null unless statistics.plugins asks for any of them."
    return _field("statistics", ["null", statistics], text, default=None)


def _plugin_field() -> dict[str, Any]:
    """Return a map, so that a plugin needs no schema, and no id for one, that its subscribers would have to know."""
    values = {"type": "map", "values": ["null", "double"]}
    text = "By column, what statistics plugins of other packages computed; null is what is undefined."
    return _field("pluginStatistics", ["null", values], f"{text} Null without such plugins.", default=None)


def _forced_source_schema() -> AvroSchema:
    return _record(
        "DiaForcedSource",
        "The flux of a DIAObject on the images of a visit. The key of the message is diaObjectId as decimal text.",
        map(_column, apdb_table("DiaForcedSource").columns),
    )


def _metrics_schema() -> AvroSchema:
    hints = typing.get_type_hints(AssociationMetrics)
    return _record(
        "AssociationMetrics",
        "What association did with one batch.",
        (_metric(field, hints[field.name]) for field in fields(AssociationMetrics)),
    )


def _metric(field: Field[Any], annotation: type) -> dict[str, Any]:
    name, doc, unit = field.name, field.metadata["doc"], field.metadata["unit"]
    default = {} if field.default is MISSING else {"default": field.default}
    if typing.get_origin(annotation) is types.UnionType:
        return _nullable(name, _PYTHON_TYPES[typing.get_args(annotation)[0]], doc, unit)
    if annotation in _PYTHON_TYPES:
        return _field(name, _PYTHON_TYPES[annotation], doc, unit, **default)
    return _field(name, {"type": "map", "values": "double"}, doc, unit)


def _dead_letter_schema() -> AvroSchema:
    return _record(
        "DeadLetter",
        "Why a message was set aside. The message itself is the value of the dead letter, unchanged.",
        (
            _field("reason", "string", "Short machine-readable name of the cause."),
            _field("message", "string", "What is wrong and what a producer would change."),
            _field("exception", "string", "Class of the error."),
            _field("topic", "string", "Topic the message was read from."),
            _field("partition", "int", "Partition the message was read from."),
            _field("offset", "long", "Offset the message was read from."),
            _field("timestamp", "long", "Kafka's timestamp of the message since 1970 UTC; -1 when unset.", "ms"),
            _field("time", "long", "When the message was set aside, since 1970 UTC.", "ms"),
        ),
    )


def _next_visit_schema() -> AvroSchema:
    position: AvroType = ["null", {"type": "array", "items": "double"}]
    return _record(
        "NextVisit",
        "A visit that is about to be taken: the event nextVisit of Rubin's ScriptQueue, as far as it is of use.",
        (
            _field("position", position, "Where the telescope will point: right ascension and declination.", "deg"),
            _field("startTime", ["null", "double"], "When the visit is to begin, since 1970 TAI.", "s", default=None),
            _field("groupId", "string", "The observatory's name for the visit.", default=""),
            _field(
                "coordinateSystem",
                "long",
                "Of the position: 1 for none, when the visit is not on the sky, 2 for ICRS. Others are refused.",
                default=2,
            ),
            _field("rotationSystem", "long", "Of the camera's angle: 1 for none, 2 for the sky.", default=1),
            _field("cameraAngle", "double", "Angle of the camera.", "deg", default=0.0),
            _field("filters", "string", "Names of the filters, with commas between.", default=""),
            _field("dome", "long", "State of the dome: 1 for closed, 2 for open, 3 for either.", default=3),
            _field("duration", "double", "How long the visit will take.", "s", default=0.0),
            _field("nimages", "long", "Expected number of images, 0 if unknown.", default=0),
            _field("instrument", "string", "Short name of the camera.", default=""),
            _field("survey", "string", "Name of the survey.", default=""),
            _field("salIndex", "long", "The script queue.", default=0),
            _field("scriptSalIndex", "long", "The script.", default=0),
            _field("totalCheckpoints", "long", "Expected checkpoints of the script, 0 if unknown.", default=0),
            _field("private_sndStamp", "double", "When it was announced, since 1970 TAI.", "s", default=0.0),
        ),
    )


_GENERATORS: Final[dict[str, Callable[[], AvroSchema]]] = {
    BATCH: _batch_schema,
    OBJECT: _object_schema,
    FORCED_SOURCE: _forced_source_schema,
    METRICS: _metrics_schema,
    DEAD_LETTER: _dead_letter_schema,
    NEXT_VISIT: _next_visit_schema,
}


def generate_schema(name: str) -> AvroSchema:
    """Return the schema called ``name``, generated from ``lsst-sdm-schemas``.

    Parameters
    ----------
    name : `str`
        One of `NAMES`.
    """
    schema = _GENERATORS[name]()
    return {"type": schema.pop("type"), "namespace": NAMESPACE, **schema}


def write_schemas(folder: Path) -> list[Path]:
    """Generate every schema into ``folder`` as ``<name>.avsc``.

    Returns
    -------
    files : `list` [`pathlib.Path`]
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in NAMES:
        file = folder / f"{name}.avsc"
        file.write_text(schema_text(generate_schema(name)), encoding="utf-8")
        files.append(file)
    return files


def schema_text(schema: AvroSchema) -> str:
    """Return a schema as it is written to a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
