import dataclasses
import io
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.alert.packet import Schema, get_uri_to_latest_schema

from stream_assoc.core.model.batch import Observation
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.alerts.schemas import LATEST, VERSIONS, alert_schema, alert_schema_id
from stream_assoc.messaging.avro.wire import split
from stream_assoc.messaging.exceptions import EncodeError
from tests.messaging.avro.alerts.rows import expected_alerts, random_alerts, random_stamps, records_of

OBSERVATION = Observation(reason="science", target=None)

lengths = st.integers(0, 70) | st.just(0)
shapes = st.lists(st.tuples(lengths, lengths), max_size=4)
texts = st.none() | st.text(max_size=200)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(VERSIONS), shapes, st.booleans(), texts, texts, st.integers(0, 2**32 - 1))
def test_every_alert_is_what_fastavro_writes(
    version: str, shape: list[tuple[int, int]], with_stamps: bool, reason: str | None, target: str | None, seed: int
) -> None:
    rows = random_alerts([one for one, _ in shape], [other for _, other in shape], seed)
    stamps = random_stamps(len(shape), seed) if with_stamps else None
    observation = Observation(reason, target)
    written = AlertEncoder(version).encode(rows, stamps, observation)
    assert written.type == pa.large_binary()
    assert written.to_pylist() == expected_alerts(version, rows, stamps, observation, alert_schema_id(version))


def test_rubins_package_validates_and_reads_them() -> None:
    rows, stamps = random_alerts([0, 20, 3], [0, 2, 20], 5), random_stamps(3, 5)
    schema = Schema.from_uri(get_uri_to_latest_schema())
    written = AlertEncoder().encode(rows, stamps, OBSERVATION).to_pylist()
    for value, record in zip(written, records_of(LATEST, rows, stamps, OBSERVATION), strict=True):
        schema_id, payload = split(value)
        assert schema_id == schema.get_schema_id()
        alert = schema.deserialize(bytes(payload))
        assert schema.validate(alert)
        assert schema.serialize(alert) == payload
        assert alert["diaSource"] == {name: record["diaSource"][name] for name in alert["diaSource"]}
        assert (alert["ssSource"], alert["mpc_orbits"]) == (None, None)


def test_a_registrys_id_stands_in_front() -> None:
    rows = random_alerts([1], [1], 6)
    (value,) = AlertEncoder(schema_id=77).encode(rows, None, OBSERVATION).to_pylist()
    assert [value] == expected_alerts(LATEST, rows, None, OBSERVATION, 77)


def test_times_of_version_8_are_microseconds_utc() -> None:
    rows = random_alerts([0], [0], 7)
    # 2026-11-28T10:00:00 UTC.
    columns = rows.sources.schema.get_field_index("timeProcessedMjdTai")
    times = pa.array([61372 + (10 * 3600 + 37) / 86_400])
    rows = dataclasses.replace(rows, sources=rows.sources.set_column(columns, "timeProcessedMjdTai", times))
    (value,) = AlertEncoder("8.0").encode(rows, None, OBSERVATION).to_pylist()
    alert: Any = fastavro.schemaless_reader(io.BytesIO(split(value)[1]), fastavro.parse_schema(alert_schema("8.0")))
    assert alert["diaSource"]["time_processed"].isoformat(timespec="milliseconds") == "2026-11-28T10:00:00.000+00:00"


@pytest.mark.parametrize("name", ["sources", "objects", "history", "forced"])
def test_a_missing_column_is_an_error(name: str) -> None:
    rows = random_alerts([1], [1], 8)
    table = getattr(rows, name)
    fewer = dataclasses.replace(rows, **{name: table.drop_columns([table.column_names[-1]])})
    with pytest.raises(EncodeError, match=table.column_names[-1]):
        AlertEncoder().encode(fewer, None, OBSERVATION)


def test_rows_may_come_in_chunks() -> None:
    rows = random_alerts([2, 0, 3], [1, 1, 0], 9)
    chunked = dataclasses.replace(rows, history=pa.concat_tables([rows.history.slice(0, 1), rows.history.slice(1)]))
    encoder = AlertEncoder()
    assert encoder.encode(chunked, None, OBSERVATION).equals(encoder.encode(rows, None, OBSERVATION))


def test_alerts_of_a_part_of_the_rows_are_those_of_the_whole() -> None:
    rows, stamps = random_alerts([2, 0, 3], [1, 1, 0], 10), random_stamps(3, 10)
    last = dataclasses.replace(
        rows,
        sources=rows.sources.slice(2),
        object_row=rows.object_row[2:],
        history_offsets=rows.history_offsets[2:],
        forced_offsets=rows.forced_offsets[2:],
    )
    part = dataclasses.replace(
        stamps, **{one.name: getattr(stamps, one.name).slice(2) for one in dataclasses.fields(stamps)}
    )
    encoder = AlertEncoder()
    assert (
        encoder.encode(last, part, OBSERVATION).to_pylist()
        == encoder.encode(rows, stamps, OBSERVATION).to_pylist()[2:]
    )
    assert np.diff(last.history_offsets).tolist() == [3]
