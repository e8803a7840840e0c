import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.messaging.avro.codec import RecordCodec
from stream_assoc.messaging.exceptions import DecodeError, EncodeError

SCHEMA = {
    "type": "record",
    "name": "Note",
    "fields": [{"name": "text", "type": "string"}, {"name": "number", "type": ["null", "long"], "default": None}],
}


@given(st.text(), st.none() | st.integers(-(2**63), 2**63 - 1))
def test_what_is_written_can_be_read(text, number) -> None:
    codec = RecordCodec(SCHEMA)
    assert codec.read(codec.write({"text": text, "number": number}), SCHEMA) == {"text": text, "number": number}


@pytest.mark.parametrize("record", [{}, {"text": 5, "number": 1}, {"text": "a", "number": 1, "more": 2}])
def test_a_record_that_does_not_fit_is_an_error(record) -> None:
    with pytest.raises(EncodeError, match="does not fit Note"):
        RecordCodec(SCHEMA).write(record)


@given(st.binary(max_size=30))
def test_arbitrary_bytes_are_read_or_refused(payload) -> None:
    try:
        record = RecordCodec(SCHEMA).read(payload, SCHEMA)
    except DecodeError:
        return
    assert set(record) == {"text", "number"}


@pytest.mark.parametrize("avro_type", ["no_such_type", "int"])
def test_a_writer_schema_that_cannot_become_this_one_is_incompatible(avro_type: str) -> None:
    writer = {"type": "record", "name": "Note", "fields": [{"name": "text", "type": avro_type}]}
    with pytest.raises(DecodeError) as caught:
        RecordCodec(SCHEMA).read(b"\x02", writer)
    assert caught.value.reason == "incompatible_schema"
