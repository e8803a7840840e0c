"""Alert packets as brokers hand them out, of sources in the data of Rubin and ZTF."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq

from stream_assoc.core.model.times import unix_microseconds
from stream_assoc.messaging.avro.alerts.schemas import alert_schema, alert_schema_id
from stream_assoc.messaging.avro.wire import header

Alert = dict[str, Any]
Field = dict[str, Any]


def container(schema: Mapping[str, Any], alerts: Iterable[Alert], codec: str = "null") -> bytes:
    """Return an Avro file."""
    target = io.BytesIO()
    fastavro.writer(target, fastavro.parse_schema(dict(schema)), alerts, codec)
    return target.getvalue()


def framed(alert: Alert, version: str) -> bytes:
    """Return a message in the Confluent wire format."""
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(alert_schema(version)), alert)
    return header(alert_schema_id(version)) + target.getvalue()


def rubin_sources(shared_data: Path, n: int) -> list[dict[str, Any]]:
    """Return rows of the first visits."""
    table = pq.read_table(shared_data / "rubin" / "sources.parquet").slice(0, n)
    return [row | {"ssObjectId": None} for row in table.to_pylist()]


def rubin_alert(source: Mapping[str, Any], version: str, history: Iterable[Mapping[str, Any]] = ()) -> Alert:
    """Return an alert of a source and those before it, all other fields empty."""
    schema = alert_schema(version)
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    record = _filled(source, fields["diaSource"]["fields"])
    alert: Alert = dict.fromkeys(fields)
    alert["diaSourceId" if "diaSourceId" in fields else "alertId"] = record["diaSourceId"]
    previous = [_filled(one, fields["diaSource"]["fields"]) for one in history]
    return alert | {"diaSource": record, "prvDiaSources": previous or None}


def _filled(source: Mapping[str, Any], fields: list[Field]) -> dict[str, Any]:
    """Return a source by a schema's names; what is required and not in the table is 0."""
    row = {
        **source,
        "is_negative": source["isNegative"],
        "time_processed": int(unix_microseconds(source["timeProcessedMjdTai"])),
    }
    nothing = {"string": "", "boolean": False}
    return {
        field["name"]: _valued(row.get(field["name"]), field["type"], nothing.get(str(field["type"]), 0))
        for field in fields
    }


def _valued(value: Any, avro_type: Any, nothing: object) -> Any:
    return nothing if value is None and not isinstance(avro_type, list) else value


def _ztf(name: str, kind: object) -> Field:
    return {"name": name, "type": kind}


CANDIDATE = [
    *(_ztf(name, "double") for name in ("jd", "ra", "dec")),
    *(_ztf(name, "long") for name in ("pid", "candid")),
    _ztf("fid", "int"),
    _ztf("isdiffpos", "string"),
    _ztf("rcid", ["int", "null"]),
    *(_ztf(name, "float") for name in ("magpsf", "sigmapsf")),
    *(_ztf(name, ["float", "null"]) for name in ("xpos", "ypos", "chipsf", "exptime")),
]
"""The fields of ZTF's candidate that are read, and their types."""

PREVIOUS = [
    _ztf(name, kind if name in {"jd", "fid", "pid"} else ["null", kind[0] if isinstance(kind, list) else kind])
    for name, kind in ((field["name"], field["type"]) for field in CANDIDATE)
    if name != "exptime"
]
"""Those of an earlier one, of which an upper limit has few."""

ZTF_SCHEMA = {
    "type": "record",
    "name": "alert",
    "namespace": "ztf",
    "fields": [
        _ztf("schemavsn", "string"),
        _ztf("objectId", "string"),
        _ztf("candid", "long"),
        _ztf("candidate", {"type": "record", "name": "candidate", "fields": CANDIDATE}),
        _ztf(
            "prv_candidates",
            [
                {
                    "type": "array",
                    "items": {"type": "record", "name": "prv_candidate", "fields": PREVIOUS},
                },
                "null",
            ],
        ),
    ],
}


def ztf_candidates(shared_data: Path, n: int) -> list[dict[str, Any]]:
    """Return rows by ZTF's names."""
    table = pq.read_table(shared_data / "ztf" / "detections.parquet").slice(0, n)
    return [row | {"rcid": row["detector"], "exptime": 30.0} for row in table.to_pylist()]


def ztf_alert(
    candidate: Mapping[str, Any], previous: list[dict[str, Any]] | None = None, version: str = "4.02"
) -> Alert:
    """Return an alert of a candidate."""
    names = [field["name"] for field in CANDIDATE]
    limits = {field["name"]: None for field in PREVIOUS}
    return {
        "schemavsn": version,
        "objectId": candidate["objectId"],
        "candid": candidate["candid"],
        "candidate": {name: candidate[name] for name in names},
        "prv_candidates": None
        if previous is None
        else [limits | {name: one[name] for name in limits if name in one} for one in previous],
    }
