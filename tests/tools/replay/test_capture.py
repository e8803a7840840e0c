from pathlib import Path

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.tools.replay.capture import CaptureWriter, is_capture, read_capture
from stream_assoc.tools.replay.exceptions import CaptureError
from stream_assoc.tools.replay.messages import TimedMessage

headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple)
messages = st.builds(
    OutputMessage,
    topic=st.text(min_size=1, max_size=8),
    key=st.none() | st.binary(max_size=8),
    value=st.none() | st.binary(max_size=40),
    headers=headers,
)
events = st.builds(TimedMessage, midpointMjdTai=st.floats(allow_nan=False), message=messages)


def written(path, some):
    with CaptureWriter(path) as capture:
        for event in some:
            capture.write(event)
    return path


def some_events(n=50):
    return [
        TimedMessage(60_000.0 + i, OutputMessage("t", b"%d" % i, bytes([i]) * 1000, (("h", b"v"),))) for i in range(n)
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(events, max_size=8))
def test_messages_come_back_exactly_in_order(tmp_path_factory: pytest.TempPathFactory, some) -> None:
    path = written(tmp_path_factory.mktemp("capture") / "c.avro", some)
    assert list(read_capture(path)) == some
    assert is_capture(path)


def test_equal_messages_give_equal_files(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, some_events()).read_bytes() for name in ("a", "b"))
    assert first == second


def test_every_truncation_is_recognised(tmp_path: Path) -> None:
    data = written(tmp_path / "whole", some_events()).read_bytes()
    short = tmp_path / "short"
    for length in [*range(0, len(data), 97), len(data) - 1]:
        short.write_bytes(data[:length])
        with pytest.raises(CaptureError):
            list(read_capture(short))


def test_no_damage_passes_unseen(tmp_path: Path) -> None:
    original = some_events()
    data = bytearray(written(tmp_path / "whole", original).read_bytes())
    damaged = tmp_path / "damaged"
    begin = data.index(b"\0" * 8)
    for position in range(begin, len(data), 41):
        flipped = bytearray(data)
        flipped[position] ^= 0x10
        damaged.write_bytes(flipped)
        try:
            read = list(read_capture(damaged))
        except CaptureError:
            continue
        assert read == original


def test_a_writer_that_fails_leaves_no_end(tmp_path: Path) -> None:
    path = tmp_path / "broken"

    def interrupted():
        yield some_events(1)[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        written(path, interrupted())
    with pytest.raises(CaptureError, match="cut short after 1 messages"):
        list(read_capture(path))


def test_other_files_are_no_captures(tmp_path: Path) -> None:
    other = tmp_path / "other.avro"
    with other.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}]}, [{"a": 1}])
    assert not is_capture(other)
    with pytest.raises(CaptureError, match="not a capture file"):
        list(read_capture(other))
    text = tmp_path / "text"
    text.write_text("hello")
    assert not is_capture(text)
    with pytest.raises(CaptureError, match="cannot be read"):
        list(read_capture(text))
