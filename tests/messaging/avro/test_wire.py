import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.messaging.avro.wire import KnownSchemas, header, rubin_schema_id, split
from stream_assoc.messaging.exceptions import DecodeError


@given(st.integers(0, 2**32 - 1), st.binary(max_size=40))
def test_what_is_framed_can_be_split(schema_id, payload) -> None:
    found, rest = split(header(schema_id) + payload)
    assert (found, bytes(rest)) == (schema_id, payload)


def test_the_header_is_confluents() -> None:
    assert header(0x01020304) == b"\x00\x01\x02\x03\x04"


def test_ids_follow_rubins_convention() -> None:
    assert rubin_schema_id(1, 0) == 100
    assert rubin_schema_id(7, 4) == 704


@pytest.mark.parametrize("value", [None, b""])
def test_no_value_is_empty(value: bytes | None) -> None:
    with pytest.raises(DecodeError, match="tombstone") as caught:
        split(value)
    assert caught.value.reason == "empty"


@pytest.mark.parametrize("value", [b"\x00\x00\x00", b'{"visit": 1}', b"Obj\x01abc"])
def test_another_format_is_undecodable(value: bytes) -> None:
    with pytest.raises(DecodeError, match="Confluent wire format") as caught:
        split(value)
    assert caught.value.reason == "undecodable"


def test_an_unknown_id_names_the_known_ones() -> None:
    schemas = KnownSchemas({100: {"type": "record"}, 101: {"type": "record"}})
    assert schemas.writer_schema(101) == {"type": "record"}
    with pytest.raises(DecodeError, match=r"102 .*known: 100, 101") as caught:
        schemas.writer_schema(102)
    assert caught.value.reason == "unknown_schema"
