"""Only schemas whose data cost what they weigh are read."""

import json
from typing import Any

import pyruhvro
import pytest

from stream_assoc.messaging.avro.codec import SealedReader
from stream_assoc.messaging.avro.resolution import MAX_DEPTH, readable
from stream_assoc.messaging.avro.schemas import BATCH, METRICS, OBJECT, load_schema
from stream_assoc.messaging.exceptions import DecodeError
from tests.fuzz.avro_tokens import varint


def record(*types: Any) -> dict[str, Any]:
    fields = [{"name": f"f{index}", "type": avro_type} for index, avro_type in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def nested(levels: int) -> Any:
    return "long" if levels == 0 else array(nested(levels - 1))


def optional(n_fields: int) -> list[Any]:
    return ["null", {**record(*["double"] * n_fields), "name": "Inner"}]


@pytest.mark.parametrize("name", [BATCH, OBJECT, METRICS])
def test_our_own_schemas_are_readable(name) -> None:
    found = readable(load_schema(name))
    assert [field["name"] for field in found["fields"]] == [field["name"] for field in load_schema(name)["fields"]]


def test_only_the_encoding_is_left() -> None:
    schema = record(
        {"type": "string", "logicalType": "uuid"}, {"type": "int", "logicalType": "date"}, ["null", "int"]
    )
    schema["fields"][0] |= {"doc": "a name", "default": ""}
    assert [field["type"] for field in readable(schema)["fields"]] == ["string", "long", ["null", "long"]]


@pytest.mark.parametrize(
    "schema",
    [
        record("bytes"),
        record({"type": "fixed", "name": "F", "size": 4}),
        record({"type": "bytes", "logicalType": "decimal", "precision": 4}),
        record("Unknown"),
        record(7),
        record(None),
        record({"type": "array"}),
        record(["null", "R"]),
        record(array("R")),
        record(nested(MAX_DEPTH + 1)),
        record(nested(5000 // 20)),
        record(*["long"] * 5001),
        record(array("null")),
        record(array({**record(), "name": "Empty"})),
        record(array(optional(3))),
        record({"type": "map", "values": optional(500)}),
        {"type": "record", "name": "R"},
        {"type": "record", "name": "R", "fields": "abc"},
        {"type": "record", "name": "R", "fields": [7]},
        {"type": "record", "name": "R", "fields": [{"name": "f"}]},
        {"type": "record", "name": "R", "fields": [{"type": "long"}]},
        {"type": "record", "fields": []},
        {"type": "record", "name": "9 x", "fields": []},
    ],
)
def test_a_hostile_schema_is_refused(schema) -> None:
    with pytest.raises(DecodeError) as caught:
        SealedReader(schema)
    assert caught.value.reason == "incompatible_schema"
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("schema", [record(array(["null", "double"])), record(optional(500)), record(nested(6))])
def test_an_unusual_schema_is_not(schema) -> None:
    SealedReader(json.loads(json.dumps(schema)))


@pytest.mark.parametrize("count", [2**31, 2**62, 2**63 - 1, -(2**31), -(2**63)])
def test_what_an_array_claims_to_hold_is_not_believed(count) -> None:
    size = varint(8) if count < 0 else b""
    with pytest.raises(DecodeError) as caught:
        SealedReader(record(array("double"))).read([varint(count) + size + bytes(16)])
    assert caught.value.reason == "undecodable"


@pytest.mark.parametrize("length", [2**31, 2**62, 2**63 - 1, -1, -(2**63)])
def test_what_a_text_claims_to_hold_is_not_believed(length) -> None:
    with pytest.raises(DecodeError) as caught:
        SealedReader(record("string")).read([varint(length) + b"short"])
    assert caught.value.reason == "undecodable"


def test_a_panic_of_the_decoder_condemns_the_message_and_not_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SealedReader(record("long"))
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

    def give_up(*_: object) -> None:
        raise panic("not implemented")

    monkeypatch.setattr(pyruhvro, "deserialize_array", give_up)
    with pytest.raises(DecodeError, match="the decoder gave up: not implemented"):
        reader.read([b"\x00"])


def test_an_interrupt_while_decoding_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SealedReader(record("long"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pyruhvro, "deserialize_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        reader.read([b"\x00"])
