"""Announcements as Rubin and others write them, and those that cannot be used."""

import io
import json
import math
from typing import Any

import fastavro
import hypothesis.strategies as st
import pytest
from hypothesis import given

from stream_assoc.core.model.announced_visits import AnnouncedVisit, mjd_of_unix_tai
from stream_assoc.messaging.avro.next_visits import (
    MAX_BYTES,
    decode_next_visit,
    encode_next_visit,
    record_of,
)
from stream_assoc.messaging.avro.wire import KnownSchemas
from stream_assoc.messaging.exceptions import AnnouncementError, RegistryUnavailableError

START = 1_674_516_800.0
RUBIN: dict[str, Any] = {
    "private_efdStamp": 1674516757.7661333,
    "private_kafkaStamp": 1674516794.7740011,
    "salIndex": 1,
    "private_revCode": "c9aab3df",
    "private_sndStamp": 1674516794.7661333,
    "private_rcvStamp": 1674516794.7662647,
    "private_seqNum": 22,
    "private_identity": "ScriptQueue:1",
    "private_origin": 2786567,
    "scriptSalIndex": 200023,
    "groupId": "2023-01-23T23:33:14.762",
    "coordinateSystem": 2,
    "position": [134.5454, -65.3261],
    "startTime": START,
    "rotationSystem": 2,
    "cameraAngle": 135.0,
    "filters": "r_03",
    "dome": 2,
    "duration": 35.0,
    "nimages": 2,
    "instrument": "LSSTCam",
    "survey": "BLOCK-365",
    "totalCheckpoints": 1,
}
VISIT = AnnouncedVisit(134.5454, -65.3261, mjd_of_unix_tai(START), "2023-01-23T23:33:14.762", "LSSTCam")

_AVRO = {float: "double", int: "long", str: "string", list: {"type": "array", "items": "double"}}
RUBIN_SCHEMA = {
    "type": "record",
    "name": "logevent_nextVisit",
    "namespace": "lsst.sal.ScriptQueue",
    "fields": [{"name": name, "type": _AVRO[type(value)]} for name, value in RUBIN.items()],
}


def as_json(record: object) -> bytes:
    return json.dumps(record).encode()


def as_rubin_avro(record: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    fastavro.schemaless_writer(target, RUBIN_SCHEMA, record)
    return b"\0\0\0\0\x07" + target.getvalue()


@pytest.mark.parametrize(
    "value",
    [
        as_json(RUBIN),
        as_json({"message": RUBIN}),
        as_json({"id": 7, "message": RUBIN}),
        as_json({name: str(value) for name, value in RUBIN.items()}),
        as_json({**RUBIN, "detector": 93, "position": "134.5454, -65.3261".join("[]")}),
        as_json(record_of(VISIT)),
        json.dumps(RUBIN, indent=2).encode("utf-8-sig"),
        encode_next_visit(VISIT),
    ],
    ids=["json", "envelope", "envelope with id", "texts", "fanned out", "short", "indented", "avro"],
)
def test_what_occurs_is_understood(value: bytes) -> None:
    assert decode_next_visit(value) == VISIT


def test_avro_of_rubins_own_schema_is_understood() -> None:
    assert decode_next_visit(as_rubin_avro(RUBIN), KnownSchemas({7: RUBIN_SCHEMA})) == VISIT


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\r", "\n", "\x07", "\u202e", "\ud800"])
def test_no_text_can_steer_a_terminal(hostile: str) -> None:
    visit = decode_next_visit(as_json({**RUBIN, "groupId": f"a{hostile}b", "instrument": hostile}))
    assert (visit.groupId + visit.instrument).isprintable()
    assert visit.groupId.startswith("a")
    assert visit.groupId.endswith("b")


def test_a_position_is_enough() -> None:
    assert decode_next_visit(b'{"position": [10, -5]}') == AnnouncedVisit(10.0, -5.0)


@pytest.mark.parametrize("start", [None, 0, 0.0])
def test_a_start_that_is_not_set_is_unknown(start: float | None) -> None:
    assert decode_next_visit(as_json({**RUBIN, "startTime": start})).startMjdTai is None


def test_times_are_tai() -> None:
    # 2017-01-01 00:00:00 TAI.
    assert mjd_of_unix_tai(1_483_228_800.0) == 57_754.0


@given(st.floats(-36_000.0, 36_000.0), st.floats(-90.0, 90.0), st.booleans())
def test_every_position_on_the_sky_comes_through(ra: float, dec: float, is_avro: bool) -> None:
    visit = AnnouncedVisit(ra, dec)
    decoded = decode_next_visit(encode_next_visit(visit) if is_avro else as_json(record_of(visit)))
    assert 0.0 <= decoded.ra < 360.0
    assert math.cos(math.radians(decoded.ra - ra)) == pytest.approx(1.0)
    assert decoded.dec == dec


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"coordinateSystem": 1}, "not_on_sky"),
        ({"coordinateSystem": 1, "position": [0, 0]}, "not_on_sky"),
        ({"position": None}, "not_on_sky"),
        ({"dome": 1}, "not_on_sky"),
        ({"coordinateSystem": 3}, "coordinates"),
        ({"coordinateSystem": 4}, "coordinates"),
        ({"coordinateSystem": 0}, "coordinates"),
        ({"coordinateSystem": "ICRS"}, "coordinates"),
        ({"coordinateSystem": 2.5}, "coordinates"),
        ({"position": []}, "position"),
        ({"position": [1.0]}, "position"),
        ({"position": [1.0, 2.0, 3.0]}, "position"),
        ({"position": 1.0}, "position"),
        ({"position": {"ra": 1.0, "dec": 2.0}}, "position"),
        ({"position": "here"}, "position"),
        ({"position": "[" * 50_000}, "position"),
        ({"position": [1.0, 90.001]}, "position"),
        ({"position": [1.0, math.nan]}, "position"),
        ({"position": [math.inf, 2.0]}, "position"),
        ({"position": [1e9, 2.0]}, "position"),
        ({"position": [10**400, 2.0]}, "position"),
        ({"position": [True, 2.0]}, "position"),
        ({"position": [None, 2.0]}, "position"),
        ({"position": [[1.0], 2.0]}, "position"),
        ({"startTime": math.nan}, "start"),
        ({"startTime": 60_000.5}, "start"),
        ({"startTime": 2_460_000.5}, "start"),
        ({"startTime": START * 1000}, "start"),
        ({"startTime": "tomorrow"}, "start"),
        ({"startTime": [START]}, "start"),
    ],
)
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_what_cannot_be_used_is_refused(change: dict[str, Any], reason: str, is_wrapped: bool) -> None:
    record = RUBIN | change
    with pytest.raises(AnnouncementError) as refused:
        decode_next_visit(as_json({"message": record} if is_wrapped else record))
    assert refused.value.reason == reason
    assert len(str(refused.value)) < 300


def test_a_missing_position_is_no_calibration() -> None:
    with pytest.raises(AnnouncementError, match="give position as") as refused:
        decode_next_visit(as_json({name: value for name, value in RUBIN.items() if name != "position"}))
    assert refused.value.reason == "position"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"null",
        b"[]",
        b"17",
        b"{",
        b"[" * 60_000,
        b'{"position": [1, 2]}' + b" " * MAX_BYTES,
        b"\xff\xfe",
        b'{"position": [' + b"9" * 5000 + b", 1]}",
        b"\0",
        b"\0\0\0\0\x64",
        b"\0\0\0\0\x63" + encode_next_visit(VISIT)[5:],
        encode_next_visit(VISIT) + b"\0",
        encode_next_visit(VISIT)[:-3],
    ],
)
def test_what_is_no_announcement_is_refused(value: bytes | None) -> None:
    with pytest.raises(AnnouncementError) as refused:
        decode_next_visit(value)
    assert refused.value.reason == "undecodable"


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"\0\0\0\0\x64" + tail))
def test_bytes_of_any_kind_are_refused_or_a_visit(value: bytes) -> None:
    try:
        visit = decode_next_visit(value)
    except AnnouncementError:
        return
    assert abs(visit.dec) <= 90.0


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RUBIN, "message"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["position", "coordinateSystem", "startTime", "dome", "message"]), _ANYTHING))
def test_fields_of_any_kind_are_refused_or_a_visit(record: dict[str, Any]) -> None:
    try:
        visit = decode_next_visit(as_json(record))
    except AnnouncementError:
        return
    assert abs(visit.dec) <= 90.0


def test_a_registry_that_is_away_is_no_fault_of_the_announcement() -> None:
    class Away:
        def writer_schema(self, schema_id: int) -> dict[str, Any]:
            raise RegistryUnavailableError("away")

    with pytest.raises(RegistryUnavailableError):
        decode_next_visit(encode_next_visit(VISIT, schema_id=7), Away())
