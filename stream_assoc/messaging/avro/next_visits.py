"""Announced visits as messages: Avro in the Confluent wire format, or plain JSON, with Rubin's names of the fields.

Rubin's ``next_visit`` event is that of its ScriptQueue (``logevent_nextVisit``
of ts_xml). Its producers differ in what they leave out and how they wrap it, so
fields are found by name in whatever was written, and only those that are needed
are looked at.
"""

import functools
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from stream_assoc.core.model.announced_visits import AnnouncedVisit, mjd_of_unix_tai, unix_tai_of_mjd
from stream_assoc.core.model.positions import is_position, wrapped_ra
from stream_assoc.core.model.times import is_number
from stream_assoc.exceptions import reason_of
from stream_assoc.messaging.avro.codec import RecordCodec, SealedReader
from stream_assoc.messaging.avro.schemas import NEXT_VISIT, NEXT_VISIT_SCHEMA_ID, load_schema, writer_schemas
from stream_assoc.messaging.avro.wire import MAGIC, WriterSchemas, header, split
from stream_assoc.messaging.exceptions import AnnouncementError, DecodeError

NOT_ON_SKY: Final = "not_on_sky"
COORDINATES: Final = "coordinates"
POSITION: Final = "position"
START: Final = "start"
UNDECODABLE: Final = "undecodable"
REASONS: Final = (NOT_ON_SKY, COORDINATES, POSITION, START, UNDECODABLE)
"""Why an announcement is of no use. The first is no fault: calibrations are announced too."""

MAX_BYTES: Final = 64 * 1024
"""An announcement has a kilobyte; what is far larger is something else."""

_NO_COORDINATES, _ICRS = 1, 2
_SYSTEMS: Final = {3: "OBSERVED, azimuth and altitude", 4: "MOUNT"}
_CLOSED: Final = 1
_ENVELOPE: Final = "message"
"""What Rubin's readers of the Schema Registry put around the record, and some pass on."""


def encode_next_visit(visit: AnnouncedVisit, schema_id: int = NEXT_VISIT_SCHEMA_ID) -> bytes:
    """Return an announcement in Avro.

    Parameters
    ----------
    visit : `AnnouncedVisit`
    schema_id : `int`, optional
        Id of the schema, where a registry has assigned one.
    """
    fields = load_schema(NEXT_VISIT)["fields"]
    defaults = {field["name"]: field["default"] for field in fields if "default" in field}
    return header(schema_id) + _codec().write(defaults | record_of(visit))


def record_of(visit: AnnouncedVisit) -> dict[str, Any]:
    """Return a visit by Rubin's names, as plain JSON has it."""
    start = None if visit.startMjdTai is None else unix_tai_of_mjd(visit.startMjdTai)
    return {
        "position": [visit.ra, visit.dec],
        "startTime": start,
        "groupId": visit.groupId,
        "instrument": visit.instrument,
    }


def decode_next_visit(value: bytes | None, schemas: WriterSchemas | None = None) -> AnnouncedVisit:
    """Return what a message announces.

    Parameters
    ----------
    value : `bytes` or `None`
        Value of the message: Avro, or JSON as it is or in an envelope ``{"message": ...}``.
    schemas : `WriterSchemas`, optional
        Where writer schemas are found; those of this version by default.

    Raises
    ------
    AnnouncementError
        If it cannot be used; the reason is one of `REASONS`.
    RegistryUnavailableError
        If the schema must be asked for and the registry does not answer.
    """
    return visit_of(_record(value, schemas))


def visit_of(record: Mapping[str, Any]) -> AnnouncedVisit:
    """Return the visit of a record with Rubin's names, of which only ``position`` must be there.

    Raises
    ------
    AnnouncementError
        If it cannot be used.
    """
    ra, dec = _position(record)
    return AnnouncedVisit(
        ra=float(wrapped_ra([ra])[0]),
        dec=dec,
        startMjdTai=_start(record),
        groupId=_text(record, "groupId"),
        instrument=_text(record, "instrument"),
    )


def _record(value: bytes | None, schemas: WriterSchemas | None) -> Mapping[str, Any]:
    if not value:
        raise AnnouncementError(
            "the announcement is empty; a topic of announcements needs no tombstones", UNDECODABLE
        )
    if len(value) > MAX_BYTES:
        raise AnnouncementError(f"the announcement has {len(value)} bytes, at most {MAX_BYTES} are read", UNDECODABLE)
    record = _avro(value, schemas) if value[0] == MAGIC else _json(value)
    inner = record.get(_ENVELOPE)
    return inner if isinstance(inner, Mapping) and "position" not in record else record


def _avro(value: bytes, schemas: WriterSchemas | None) -> Mapping[str, Any]:
    try:
        schema_id, payload = split(value)
        schema = writer_schemas(NEXT_VISIT, schemas).writer_schema(schema_id)
        # By the writer's own fields: Rubin's schema has another name, and fields that ours has not.
        (record,) = SealedReader(schema).read([payload]).to_pylist()
    except DecodeError as error:
        raise AnnouncementError(f"the announcement cannot be read: {error}", UNDECODABLE) from error
    return dict(record)


def _json(value: bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise AnnouncementError(
            f"the announcement is neither Avro in the Confluent wire format nor JSON: {reason_of(error)}", UNDECODABLE
        ) from error
    if not isinstance(record, dict):
        raise AnnouncementError("the announcement is JSON, but no object with fields", UNDECODABLE)
    return record


def _position(record: Mapping[str, Any]) -> tuple[float, float]:
    system = _number(record, "coordinateSystem", COORDINATES, _ICRS)
    if system == _NO_COORDINATES or _number(record, "dome", COORDINATES, 0) == _CLOSED:
        raise AnnouncementError("the visit is not on the sky", NOT_ON_SKY)
    if system != _ICRS:
        named = _SYSTEMS.get(int(system), "unknown") if math.isfinite(system) else "unknown"
        raise AnnouncementError(
            f"coordinateSystem is {system:g} ({named}): only {_ICRS}, ICRS, can be used; announce right ascension "
            "and declination",
            COORDINATES,
        )
    if "position" not in record:
        raise AnnouncementError("there is no position; give position as [ra, dec] in degrees, ICRS", POSITION)
    given = record["position"]
    if given is None:
        raise AnnouncementError("the visit has no position", NOT_ON_SKY)
    if isinstance(given, str):
        # Where lists cannot be sent, Rubin sends their text.
        given = _list_of(given)
    if not isinstance(given, list) or len(given) != 2:
        raise AnnouncementError(f"position is {_shown(given)}; it must be [ra, dec] in degrees", POSITION)
    ra, dec = (_finite(one, "position", POSITION) for one in given)
    if not is_position(ra, dec):
        raise AnnouncementError(f"position {ra:g}, {dec:g} is not on the sky; give [ra, dec] in degrees", POSITION)
    return ra, dec


def _list_of(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _start(record: Mapping[str, Any]) -> float | None:
    # A field of SAL that nobody has set is zero.
    if not (seconds := _number(record, "startTime", START, 0.0)):
        return None
    try:
        return mjd_of_unix_tai(seconds)
    except ValueError as error:
        raise AnnouncementError(f"startTime: {error}", START) from None


def _number(record: Mapping[str, Any], name: str, reason: str, default: float) -> float:
    value = record.get(name)
    return default if value is None else _finite(value, name, reason)


def _finite(value: object, name: str, reason: str) -> float:
    """Return a number, which some producers send as text."""
    try:
        number = float(value) if isinstance(value, str) or is_number(value) else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise AnnouncementError(f"{name} holds {_shown(value)}; it must hold finite numbers", reason)
    return number


def _text(record: Mapping[str, Any], name: str) -> str:
    """Return a text, at most 200 characters of it, and none that a terminal would obey: it goes to the log."""
    value = record.get(name)
    if not isinstance(value, str):
        return ""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value[:200])


def _shown(value: object) -> str:
    return repr(value)[:60]


@functools.cache
def _codec() -> RecordCodec:
    return RecordCodec(load_schema(NEXT_VISIT))
