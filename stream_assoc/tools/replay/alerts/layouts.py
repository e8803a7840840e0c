"""What of an alert is read: the source that raised it and, if wanted, those of its history; no cutout, no object."""

from dataclasses import dataclass
from typing import Any, Final

import fastavro
import pyarrow as pa

from stream_assoc.messaging.avro.wire import AvroSchema
from stream_assoc.messaging.exceptions import DecodeError


@dataclass(frozen=True, slots=True)
class Survey:
    """How the alerts of a survey are built.

    Attributes
    ----------
    name : `str`
    source, history : `str`
        The fields with the source that raised the alert, and with earlier ones.
    identifier : `str`
        The field of a source that names it. An entry of the history without one is no detection.
    mapping : `str`
        The packaged mapping that fits.
    renamed : `dict` [`str`, `str`]
        What fields of older schemas are called now.
    """

    name: str
    source: str
    history: str
    identifier: str
    mapping: str
    renamed: dict[str, str]


RUBIN: Final = Survey(
    "Rubin",
    "diaSource",
    "prvDiaSources",
    "diaSourceId",
    "rubin_alert",
    {"is_negative": "isNegative", "time_processed": "timeProcessedMjdTai"},
)
ZTF: Final = Survey("ZTF", "candidate", "prv_candidates", "candid", "ztf_alert", {})

_SURVEYS: Final = (RUBIN, ZTF)

_ARROW_TYPES: Final = {
    "long": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "timestamp-micros": pa.timestamp("us"),
    "timestamp-millis": pa.timestamp("ms"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How alerts of one schema are read.

    Attributes
    ----------
    survey : `Survey`
    writer, reader : `dict`
        The schema of the alerts, and the part of it that is read, both parsed by fastavro.
    columns : `dict` [`str`, `pyarrow.DataType`]
        The fields of a source, by the names of the schema.
    """

    survey: Survey
    writer: AvroSchema
    reader: AvroSchema
    columns: dict[str, pa.DataType]


def survey_of(schema: object) -> Survey | None:
    """Return whose alerts have this schema, `None` if it is no schema of alerts."""
    fields = _fields(schema)
    return next((one for one in _SURVEYS if _fields(fields.get(one.source))), None)


def layout_of(schema: AvroSchema, *, history: bool) -> Layout:
    """Return how alerts of a schema are read.

    Parameters
    ----------
    schema : `dict`
        As it was written.
    history : `bool`
        Whether earlier sources are read too.

    Raises
    ------
    DecodeError
        If it is no schema of alerts.
    """
    survey = survey_of(schema)
    if survey is None:
        known = ", ".join(f"{one.source} ({one.name})" for one in _SURVEYS)
        raise DecodeError(
            f"the schema {str(schema.get('name', ''))!r:.60} is none of alerts: it has no record {known}",
            "incompatible_schema",
        )
    wanted = {survey.source, survey.history} if history else {survey.source}
    fields = [field for field in schema["fields"] if field["name"] in wanted]
    columns = {
        name: arrow_type
        for name, avro_type in _fields(_fields(schema)[survey.source]).items()
        if (arrow_type := _arrow_type(avro_type)) is not None
    }
    writer: Any = fastavro.parse_schema(schema)
    reader: Any = fastavro.parse_schema({**schema, "fields": fields})
    return Layout(survey, writer, reader, columns)


def _fields(schema: object) -> dict[str, Any]:
    """Return the types of a record's fields, of nothing else any."""
    if not isinstance(schema, dict) or not isinstance(schema.get("fields"), list):
        return {}
    return {field["name"]: field["type"] for field in schema["fields"]}


def _arrow_type(avro_type: Any) -> pa.DataType | None:  # noqa: ANN401 - any Avro type
    """Return the type of a column; `None` for what is none, such as a list."""
    if isinstance(avro_type, list):
        given = [one for one in avro_type if one != "null"]
        return _arrow_type(given[0]) if len(given) == 1 else None
    if isinstance(avro_type, dict):
        return _ARROW_TYPES.get(str(avro_type.get("logicalType", avro_type["type"])))
    return _ARROW_TYPES.get(avro_type)
