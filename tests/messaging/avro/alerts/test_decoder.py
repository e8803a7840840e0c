import math

import numpy as np
import pytest

from stream_assoc.core.model.batch import Observation
from stream_assoc.messaging.avro.alerts.decoder import decode_alert
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.alerts.schemas import VERSIONS, alert_schema
from stream_assoc.messaging.avro.schemas import METRICS, load_schema
from stream_assoc.messaging.avro.wire import KnownSchemas
from stream_assoc.messaging.exceptions import DecodeError
from tests.messaging.avro.alerts.rows import random_alerts, random_stamps

ROWS, STAMPS = random_alerts([3], [2], 1), random_stamps(1, 4)
OBSERVATION = Observation("deep", "COSMOS")


def message(version: str = "11.1", schema_id: int | None = None) -> bytes:
    (value,) = AlertEncoder(version, schema_id).encode(ROWS, STAMPS, OBSERVATION).to_pylist()
    return bytes(value)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_alert_of_any_version_shows_the_same(version: str) -> None:
    alert = decode_alert(message(version))
    source = ROWS.sources.to_pylist()[0]
    assert (alert.diaSourceId, alert["ra"], alert["midpointMjdTai"]) == tuple(
        source[name] for name in ("diaSourceId", "ra", "midpointMjdTai")
    )
    row = int(ROWS.object_row[0])
    assert (alert.dia_object and alert.dia_object["ra"]) == (None if row < 0 else ROWS.objects["ra"][row].as_py())
    assert (alert.difference, alert.science, alert.template) == tuple(
        column[0].as_py() for column in (STAMPS.difference, STAMPS.science, STAMPS.template)
    )
    assert (alert.reason, alert.target) == ((None, None) if version == "7.4" else ("deep", "COSMOS"))


def test_its_light_curve_is_in_the_order_of_time() -> None:
    curve = decode_alert(message()).light_curve()
    rows = [(row, False) for table in (ROWS.sources, ROWS.history) for row in table.to_pylist()]
    rows += [(row, True) for row in ROWS.forced.to_pylist()]
    rows.sort(key=lambda pair: pair[0]["midpointMjdTai"])
    assert curve.midpointMjdTai.tolist() == [row["midpointMjdTai"] for row, _ in rows]
    assert curve.is_forced.tolist() == [is_forced for _, is_forced in rows]
    assert curve.band == tuple(row["band"] for row, _ in rows)
    expected = [math.nan if row["psfFlux"] is None else row["psfFlux"] for row, _ in rows]
    np.testing.assert_array_equal(curve.psfFlux, expected)


def test_a_registry_may_name_the_schema() -> None:
    known = KnownSchemas({7: alert_schema("10.0")})
    assert decode_alert(message("10.0", 7), known).schema_id == 7


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"Obj\x01", "undecodable"),
        (message()[:-1], "undecodable"),
        (message() + b"\x00", "undecodable"),
        (message(schema_id=9), "unknown_schema"),
    ],
)
def test_what_is_no_alert_is_an_error(value: bytes | None, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_alert(value)
    assert caught.value.reason == reason


def test_a_message_of_another_topic_is_an_error() -> None:
    with pytest.raises(DecodeError, match="none of an alert, it has no diaObject, diaSource, prvDiaSources"):
        decode_alert(message(schema_id=9), KnownSchemas({9: load_schema(METRICS)}))
