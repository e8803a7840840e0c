from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.messaging.avro.dead_letters import RECORD_HEADER, dead_letter, read_dead_letter
from stream_assoc.messaging.avro.schemas import DEAD_LETTER_SCHEMA_ID
from stream_assoc.messaging.avro.wire import split
from stream_assoc.messaging.exceptions import DecodeError

POSITION = InputPosition("dia-sources", 3, 2**40)
MESSAGE = InputMessage(POSITION, 1_700_000_000_000, b"cell", b"\x00broken", (("producer", b"simulator"),))
ERROR = InvalidBatchError("band 'w' is none of u, g", "unknown_band")

binary = st.none() | st.binary(max_size=50)
inputs = st.builds(
    InputMessage,
    position=st.builds(InputPosition, st.text(max_size=10), st.integers(0, 100), st.integers(0, 2**62)),
    timestamp_ms=st.integers(-1, 2**50),
    key=binary,
    value=binary,
    headers=st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=4)
    .map(tuple)
    .filter(lambda headers: not any(name.startswith("dlq.") for name, _ in headers)),
)


@given(inputs, st.text(max_size=100))
def test_the_message_and_its_error_can_be_read_back(message, text) -> None:
    letter = dead_letter(message, InvalidBatchError(text, "duplicate_ids"), "dlq", time_ms=5)
    assert (letter.topic, letter.key, letter.value) == ("dlq", message.key, message.value)
    found = read_dead_letter(letter)
    assert found.original == message
    assert (found.record.reason, found.record.message, found.record.time) == ("duplicate_ids", text, 5)


def test_headers_are_readable_with_any_tool() -> None:
    headers = dict(dead_letter(MESSAGE, ERROR, "dlq", time_ms=42).headers)
    record = headers.pop(RECORD_HEADER)
    assert split(record)[0] == DEAD_LETTER_SCHEMA_ID
    assert headers == {
        "producer": b"simulator",
        "dlq.reason": b"unknown_band",
        "dlq.message": b"band 'w' is none of u, g",
        "dlq.exception": b"stream_assoc.core.exceptions.InvalidBatchError",
        "dlq.topic": b"dia-sources",
        "dlq.partition": b"3",
        "dlq.offset": str(2**40).encode(),
        "dlq.timestamp": b"1700000000000",
        "dlq.time": b"42",
    }


@given(inputs, st.integers(0, 60))
def test_what_has_no_room_in_a_letter_is_left_out_and_named(message: InputMessage, max_bytes: int) -> None:
    found = read_dead_letter(dead_letter(message, ERROR, "dlq", time_ms=1, max_bytes=max_bytes))
    original = found.original
    size = len(original.key or b"") + len(original.value or b"")
    assert size + sum(len(name.encode()) + len(content) for name, content in original.headers) <= max_bytes
    for name in ("value", "headers", "key"):
        if name in found.left_out:
            assert getattr(message, name)
            assert not getattr(original, name)
        else:
            assert getattr(original, name) == getattr(message, name)
    assert found.record.offset == message.position.offset


def test_the_value_goes_first() -> None:
    found = read_dead_letter(dead_letter(MESSAGE, ERROR, "dlq", time_ms=1, max_bytes=60))
    assert found.left_out == ()
    large = replace(MESSAGE, value=bytes(100))
    assert read_dead_letter(dead_letter(large, ERROR, "dlq", time_ms=1, max_bytes=60)).left_out == ("value",)


def test_a_dead_letter_that_fails_again_does_not_collect_headers() -> None:
    first = dead_letter(MESSAGE, ERROR, "dlq", time_ms=1)
    again = InputMessage(InputPosition("dlq", 0, 9), 7, first.key, first.value, first.headers)
    second = dead_letter(again, DecodeError("still broken", "undecodable"), "dlq", time_ms=2)
    assert len(second.headers) == len(first.headers)
    found = read_dead_letter(second)
    assert (found.record.reason, found.record.topic, found.record.offset) == ("undecodable", "dlq", 9)
    assert found.original.headers == MESSAGE.headers


def test_a_long_error_is_cut() -> None:
    letter = dead_letter(MESSAGE, DecodeError("x" * 10**6, "undecodable"), "dlq", time_ms=1)
    assert sum(len(content) for _, content in letter.headers) < 10_000


def test_another_message_is_no_dead_letter() -> None:
    with pytest.raises(DecodeError, match=r"no header dlq\.record"):
        read_dead_letter(MESSAGE)
