"""Messages of the client library as the rest of the package sees them."""

from confluent_kafka import Message

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage


def input_message(message: Message) -> InputMessage:
    """Return a message of the client library as the rest of the package sees it."""
    _, timestamp_ms = message.timestamp()
    headers = tuple((name, _bytes(value) or b"") for name, value in message.headers() or ())
    return InputMessage(position_of(message), timestamp_ms, _bytes(message.key()), _bytes(message.value()), headers)


def position_of(message: Message) -> InputPosition:
    """Return the place of a message."""
    # The stubs allow for messages without a place; those carry an error, and never come here.
    return InputPosition(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
