"""Random rows of the APDB, and the alerts that fastavro writes of them."""

import io
import math
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream_assoc.core.model.alerts import AlertRows, Stamps
from stream_assoc.core.model.arrays import offsets_of
from stream_assoc.core.model.batch import Observation
from stream_assoc.core.model.schema import Column, apdb_table
from stream_assoc.messaging.avro.alerts.schemas import alert_schema
from stream_assoc.messaging.avro.wire import header

OLD_NAMES = {
    "is_negative": "isNegative",
    "time_processed": "timeProcessedMjdTai",
    "validityStart": "validityStartMjdTai",
}
LEAP_SECONDS = 37
"""TAI - UTC since 2017."""


def random_column(column: Column, n_rows: int, rng: np.random.Generator) -> pa.Array:
    kind = column.datatype
    values: npt.NDArray[Any]
    if kind in {"long", "int", "short"}:
        bits = {"long": 63, "int": 31, "short": 15}[kind]
        values = rng.integers(-(2**bits), 2**bits, n_rows) >> rng.integers(0, bits, n_rows)
    elif kind == "boolean":
        values = rng.random(n_rows) < 0.5
    elif kind in {"double", "float"}:
        # Times are whole microseconds.
        times = rng.integers(58_000 * 256, 62_000 * 256, n_rows) / 256
        values = times if "Mjd" in column.name else rng.normal(0, 1e4, n_rows)
        if column.nullable:
            values[rng.random(n_rows) < 0.1] = np.nan
    else:
        values = rng.choice(["", "r", "größer"], n_rows)
    mask = rng.random(n_rows) < rng.choice([0.0, 0.3, 1.0]) if column.nullable else None
    array = pa.array(values.tolist(), mask=mask) if values.dtype.kind == "U" else pa.array(values, mask=mask)
    return array.cast(column.arrow_type)


def random_table(name: str, n_rows: int, rng: np.random.Generator) -> pa.Table:
    columns = apdb_table(name).columns
    return pa.table({column.name: random_column(column, n_rows, rng) for column in columns})


def random_alerts(history: list[int], forced: list[int], seed: int) -> AlertRows:
    """Alerts with so many earlier and forced sources; some have no object, some share one."""
    rng = np.random.default_rng(seed)
    return AlertRows(
        sources=random_table("DiaSource", len(history), rng),
        objects=random_table("DiaObject", 3, rng),
        object_row=rng.integers(-1, 3, len(history)),
        history=random_table("DiaSource", sum(history), rng),
        history_offsets=offsets_of(history),
        forced=random_table("DiaForcedSource", sum(forced), rng),
        forced_offsets=offsets_of(forced),
    )


def random_stamps(n_alerts: int, seed: int) -> Stamps:
    rng = np.random.default_rng(seed)
    three = [
        pa.array(
            [rng.bytes(size) if size else None for size in rng.choice([0, 1, 70, 20_000], n_alerts)],
            pa.large_binary(),
        )
        for _ in range(3)
    ]
    return Stamps(*three)


def expected_alerts(
    version: str, rows: AlertRows, stamps: Stamps | None, observation: Observation, schema_id: int
) -> list[bytes]:
    """Write each alert as fastavro does, field by field."""
    schema = fastavro.parse_schema(alert_schema(version))
    messages = []
    for record in records_of(version, rows, stamps, observation):
        target = io.BytesIO()
        fastavro.schemaless_writer(target, schema, record)
        messages.append(header(schema_id) + target.getvalue())
    return messages


def records_of(
    version: str, rows: AlertRows, stamps: Stamps | None, observation: Observation
) -> list[dict[str, Any]]:
    sources, history, forced, objects = (
        [_fields(version, row) for row in table.to_pylist()]
        for table in (rows.sources, rows.history, rows.forced, rows.objects)
    )
    records = []
    for number, source in enumerate(sources):
        begin, end = rows.history_offsets[number : number + 2]
        begin_forced, end_forced = rows.forced_offsets[number : number + 2]
        object_row = rows.object_row[number]
        record = {
            "diaSourceId" if version != "7.4" else "alertId": source["diaSourceId"],
            "diaSource": source,
            "prvDiaSources": history[begin:end] or None,
            "prvDiaForcedSources": forced[begin_forced:end_forced] or None,
            "diaObject": objects[object_row] if object_row >= 0 else None,
        }
        if version != "7.4":
            record |= {"observation_reason": observation.reason, "target_name": observation.target}
        if stamps is not None:
            record |= {
                "cutoutDifference": stamps.difference[number].as_py(),
                "cutoutScience": stamps.science[number].as_py(),
                "cutoutTemplate": stamps.template[number].as_py(),
            }
        records.append(record)
    return records


def _fields(version: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with NaN as null, and old names where they have a meaning."""
    clean: dict[str, Any] = {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()
    }
    if version in {"7.4", "8.0"}:
        clean |= {old: clean[new] for old, new in OLD_NAMES.items() if new in clean}
    if version == "8.0":
        for name in {"time_processed", "validityStart"} & clean.keys():
            clean[name] = round(((clean[name] - 40_587) * 86_400 - LEAP_SECONDS) * 1e6)
    return clean
