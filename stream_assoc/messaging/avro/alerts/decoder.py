"""One alert as a record, of whichever version: what a tail, a page or a plot shows of it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray
from stream_assoc.messaging.avro.alerts.schemas import known_alert_schemas
from stream_assoc.messaging.avro.codec import MALFORMED
from stream_assoc.messaging.avro.wire import AvroSchema, WriterSchemas, split
from stream_assoc.messaging.exceptions import DecodeError

_OF_AN_ALERT: Final = {"diaSource", "prvDiaSources", "diaObject"}


@dataclass(frozen=True, slots=True)
class LightCurve:
    """The fluxes that an alert has, in the order of time.

    Attributes
    ----------
    midpointMjdTai : `numpy.ndarray` [float64], shape (n,)
        MJD TAI.
    psfFlux, psfFluxErr : `numpy.ndarray` [float64], shape (n,)
        On the difference image, nJy, NaN where missing.
    band : `tuple` [`str` or `None`, ...]
    is_forced : `numpy.ndarray` [bool], shape (n,)
        Whether it was measured at the object's position, not detected.
    """

    midpointMjdTai: FloatArray
    psfFlux: FloatArray
    psfFluxErr: FloatArray
    band: tuple[str | None, ...]
    is_forced: BoolArray


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert packet.

    Attributes
    ----------
    schema_id : `int`
        Id of the schema it was written with.
    record : `~collections.abc.Mapping` [`str`, `object`]
        Every field, by the names of that schema.
    """

    schema_id: int
    record: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:  # noqa: ANN401 - a row holds numbers of several types
        """Return a column of its DIASource by Rubin's name, such as ``psfFlux``."""
        return self.record["diaSource"][column]

    @property
    def diaSourceId(self) -> int:
        """The source that raised it."""
        return int(self["diaSourceId"])

    @property
    def dia_object(self) -> Mapping[str, Any] | None:
        """The object's version, every column by Rubin's name; `None` for a source without an object."""
        found: Mapping[str, Any] | None = self.record["diaObject"]
        return found

    @property
    def reason(self) -> str | None:
        """Why the visit was taken."""
        return self.record.get("observation_reason")

    @property
    def target(self) -> str | None:
        """What was pointed at."""
        return self.record.get("target_name")

    @property
    def difference(self) -> bytes | None:
        """The cutout of the difference image, a FITS file."""
        return self.record.get("cutoutDifference")

    @property
    def science(self) -> bytes | None:
        """The cutout of the science image, a FITS file."""
        return self.record.get("cutoutScience")

    @property
    def template(self) -> bytes | None:
        """The cutout of the template, a FITS file."""
        return self.record.get("cutoutTemplate")

    def light_curve(self) -> LightCurve:
        """Return the fluxes of its source, of earlier ones, and forced ones."""
        detected = [self.record["diaSource"], *(self.record["prvDiaSources"] or ())]
        forced = self.record.get("prvDiaForcedSources") or ()
        points = [(row, False) for row in detected] + [(row, True) for row in forced]
        points.sort(key=lambda point: point[0]["midpointMjdTai"])
        # A null becomes NaN.
        times, fluxes, errors = (
            np.array([row[name] for row, _ in points], np.float64)
            for name in ("midpointMjdTai", "psfFlux", "psfFluxErr")
        )
        bands = tuple(row["band"] for row, _ in points)
        return LightCurve(times, fluxes, errors, bands, np.array([is_forced for _, is_forced in points], np.bool_))


def decode_alert(value: bytes | None, schemas: WriterSchemas | None = None) -> Alert:
    """Decode a message of the topic of alerts, ours or Rubin's.

    Parameters
    ----------
    value : `bytes` or `None`
        The value of a message.
    schemas : `WriterSchemas`, optional
        Where writer schemas are found; Rubin's by their own ids by default.

    Raises
    ------
    DecodeError
        If it is no alert.
    RegistryUnavailableError
        If its schema cannot be known at present.
    """
    schema_id, payload = split(value)
    schema = (schemas or known_alert_schemas()).writer_schema(schema_id)
    _check(schema_id, schema)
    source = io.BytesIO(payload)
    try:
        record: Any = fastavro.schemaless_reader(source, schema)
    except MALFORMED as error:
        raise DecodeError(f"the payload is no alert of schema {schema_id}: {error!r}", "undecodable") from error
    if source.tell() != len(payload):
        raise DecodeError(
            f"{len(payload) - source.tell()} bytes follow the alert; write one datum a message", "undecodable"
        )
    return Alert(schema_id, record)


def _check(schema_id: int, schema: AvroSchema) -> None:
    missing = _OF_AN_ALERT - {field["name"] for field in schema["fields"]}
    if missing:
        raise DecodeError(
            f"schema {schema_id} is none of an alert, it has no {', '.join(sorted(missing))}; name a topic of alerts",
            "incompatible_schema",
        )
