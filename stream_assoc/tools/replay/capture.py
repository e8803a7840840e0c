"""Capture files: messages on disk, exactly as they were.

A capture file is an Avro object container, so any Avro tool lists it. Each
message carries the CRC-32 of everything up to and including itself, and the
last record tells how many there are: a damaged, reordered or truncated file
is recognised, whichever record is hit.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import fastavro
from fastavro.write import Writer

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.tools.replay.exceptions import CaptureError
from stream_assoc.tools.replay.messages import TimedMessage

NAMESPACE: Final = "stream_assoc.capture.v1"
_MESSAGE: Final = f"{NAMESPACE}.Message"
_END: Final = f"{NAMESPACE}.End"
_CODEC: Final = "deflate"
"""Of Avro's codecs the one that every reader has."""

CAPTURE_SCHEMA: Final[list[dict[str, Any]]] = [
    {
        "type": "record",
        "name": "Message",
        "namespace": NAMESPACE,
        "doc": "A Kafka message.",
        "fields": [
            {"name": "midpointMjdTai", "type": "double", "doc": "When it was observed, MJD TAI."},
            {"name": "topic", "type": "string"},
            {"name": "key", "type": ["null", "bytes"]},
            {"name": "value", "type": ["null", "bytes"]},
            {
                "name": "headers",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Header",
                        "fields": [{"name": "name", "type": "string"}, {"name": "value", "type": "bytes"}],
                    },
                },
            },
            {"name": "checksum", "type": "long", "doc": "CRC-32 of all messages so far."},
        ],
    },
    {
        "type": "record",
        "name": "End",
        "namespace": NAMESPACE,
        "doc": "The last record of a complete file.",
        "fields": [{"name": "n_messages", "type": "long"}, {"name": "checksum", "type": "long"}],
    },
]

AVRO_DAMAGE: Final = (EOFError, ValueError, LookupError, TypeError, OverflowError, MemoryError, zlib.error)
"""What fastavro raises on damaged bytes."""


class CaptureWriter:
    """Writes a capture file, one message after the other; use it in a ``with`` statement.

    Memory does not grow with the file. When the block is left by an exception
    the file stays without its end, and a reader will say so.

    Parameters
    ----------
    path : `pathlib.Path`
        Overwritten.

    Attributes
    ----------
    n_messages : `int`
        Written so far.
    """

    def __init__(self, path: Path) -> None:
        self.n_messages = 0
        self._checksum = 0
        self._file = path.open("wb")
        # A random sync marker would make equal captures differ.
        marker = zlib.crc32(NAMESPACE.encode()).to_bytes(16, "big")
        self._writer = Writer(self._file, CAPTURE_SCHEMA, codec=_CODEC, sync_marker=marker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._writer.write({"-type": _END, "n_messages": self.n_messages, "checksum": self._checksum})
            self._writer.flush()
        finally:
            self._file.close()

    def write(self, event: TimedMessage) -> None:
        """Append a message."""
        self._checksum = _extended(self._checksum, event)
        self.n_messages += 1
        message = event.message
        record = {
            "-type": _MESSAGE,
            "midpointMjdTai": event.midpointMjdTai,
            "topic": message.topic,
            "key": message.key,
            "value": message.value,
            "headers": [{"name": name, "value": value} for name, value in message.headers],
            "checksum": self._checksum,
        }
        self._writer.write(record)


def read_capture(path: Path) -> Iterator[TimedMessage]:
    """Read the messages of a capture file, in order, one at a time.

    A message is given only after its checksum has been verified.

    Raises
    ------
    CaptureError
        If the file is damaged, cut short, or not a capture file. Messages
        before the damage have been given.
    """
    n_messages = checksum = 0
    has_ended = False
    with path.open("rb") as file:
        for record in _records(file, path):
            if has_ended:
                raise CaptureError(f"{path} goes on after its end; was another file appended?")
            if "n_messages" in record:
                if (record["n_messages"], record["checksum"]) != (n_messages, checksum):
                    raise CaptureError(
                        f"{path} ends after {n_messages} messages, but tells of {record['n_messages']}"
                    )
                has_ended = True
                continue
            event = _event(record)
            n_messages, checksum = n_messages + 1, _extended(checksum, event)
            if checksum != record["checksum"]:
                raise CaptureError(f"{path}: message {n_messages} does not match its checksum; capture it again")
            yield event
    if not has_ended:
        raise CaptureError(f"{path} was cut short after {n_messages} messages: its writer was interrupted")


def is_capture(path: Path) -> bool:
    """Tell whether a file is an Avro object container with the schema of captures."""
    try:
        with path.open("rb") as file:
            schema = fastavro.reader(file).writer_schema
    except AVRO_DAMAGE:
        return False
    if not isinstance(schema, list):
        return False
    return [branch.get("name") if isinstance(branch, dict) else branch for branch in schema] == [_MESSAGE, _END]


def _records(file: BinaryIO, path: Path) -> Iterator[dict[str, Any]]:
    try:
        for record in fastavro.reader(file):
            if not isinstance(record, dict) or "checksum" not in record:
                raise CaptureError(f"{path} is an Avro file, but not a capture file")
            yield record
    except AVRO_DAMAGE as error:
        raise CaptureError(f"{path} cannot be read as a capture file: {error}") from error


def _event(record: dict[str, Any]) -> TimedMessage:
    headers = tuple((header["name"], header["value"]) for header in record["headers"])
    return TimedMessage(
        record["midpointMjdTai"], OutputMessage(record["topic"], record["key"], record["value"], headers)
    )


def _extended(checksum: int, event: TimedMessage) -> int:
    message = event.message
    names = repr((event.midpointMjdTai, message.topic, message.key, message.headers, message.value is None))
    return zlib.crc32(message.value or b"", zlib.crc32(names.encode(), checksum))
