"""What becomes of a message that can never be processed.

A dead letter is the message itself, key, value and headers untouched, so that
it can be sent again once its cause is gone. Why it is here stands in further
headers, each readable with any Kafka tool, and together as one Avro record.
"""

from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Final

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import Headers, InputMessage, OutputMessage
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.codec import RecordCodec
from stream_assoc.messaging.avro.schemas import DEAD_LETTER, DEAD_LETTER_SCHEMA_ID, load_schema, writer_schemas
from stream_assoc.messaging.avro.wire import WriterSchemas, header, split
from stream_assoc.messaging.exceptions import DecodeError

PREFIX: Final = "dlq."
RECORD_HEADER: Final = f"{PREFIX}record"
LEFT_OUT_HEADER: Final = f"{PREFIX}left_out"
"""What of the message would not go into its dead letter: ``value``, ``headers``, ``key``, with commas between."""
SENT_AGAIN_HEADER: Final = f"{PREFIX}sent_again"
"""Marks a message of the topic that is no letter but a note: that the letter it names was sent again."""
_HEADER_OVERHEAD_BYTES: Final = 16
# An error may quote the message it is about, and a message may be large.
_MAX_TEXT: Final = 2000


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """Why a message was set aside; the fields of ``dead_letter.avsc``, described there."""

    reason: str
    message: str
    exception: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    time: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter, read back.

    Attributes
    ----------
    original : `InputMessage`
        The message as it was read the first time.
    record : `DeadLetterRecord`
        Why it was set aside.
    left_out : `tuple` [`str`, ...]
        Which of ``value``, ``headers`` and ``key`` the original had and the letter
        has no room for. The message can still be read at its own place.
    """

    original: InputMessage
    record: DeadLetterRecord
    left_out: tuple[str, ...] = ()


def dead_letter(
    message: InputMessage,
    error: PoisonError,
    topic: str,
    time_ms: int,
    schema_id: int = DEAD_LETTER_SCHEMA_ID,
    max_bytes: int | None = None,
) -> OutputMessage:
    """Return the dead letter of a message.

    Parameters
    ----------
    message : `InputMessage`
        The message that cannot be processed.
    error : `~stream_assoc.exceptions.PoisonError`
        Why not.
    topic : `str`
        Topic of the dead letters.
    time_ms : `int`
        Now, milliseconds since 1970 UTC.
    schema_id : `int`, optional
        Id of the schema of the ``dlq.record`` header.
    max_bytes : `int`, optional
        Largest key, value and headers of the message, together, that go into
        the letter. What is too much is left out, the value first; by default nothing is.

    Returns
    -------
    letter : `OutputMessage`
        The original key, value and headers, and the headers ``dlq.reason``,
        ``dlq.message``, ``dlq.exception``, ``dlq.topic``, ``dlq.partition``,
        ``dlq.offset``, ``dlq.timestamp``, ``dlq.time`` as text and
        ``dlq.record`` in the Confluent wire format. A message that has been a
        dead letter before loses the older ones.
    """
    record = asdict(
        DeadLetterRecord(
            reason=error.reason,
            message=str(error)[:_MAX_TEXT],
            exception=f"{type(error).__module__}.{type(error).__qualname__}",
            topic=message.position.topic,
            partition=message.position.partition,
            offset=message.position.offset,
            timestamp=message.timestamp_ms,
            time=time_ms,
        )
    )
    texts = tuple((f"{PREFIX}{name}", str(entry).encode()) for name, entry in record.items())
    encoded = header(schema_id) + _codec().write(record)
    kept, left_out = _fitting(replace(message, headers=original_headers(message.headers)), max_bytes)
    notes = ((LEFT_OUT_HEADER, ",".join(left_out).encode()),) if left_out else ()
    return OutputMessage(topic, kept.key, kept.value, (*kept.headers, *texts, *notes, (RECORD_HEADER, encoded)))


def read_dead_letter(letter: InputMessage | OutputMessage, schemas: WriterSchemas | None = None) -> DeadLetter:
    """Return the original message and why it was set aside.

    Raises
    ------
    DecodeError
        If this is no dead letter.
    """
    headers = dict(letter.headers)
    encoded = headers.get(RECORD_HEADER)
    if encoded is None:
        raise DecodeError(f"the message has no header {RECORD_HEADER}; it is not a dead letter", "undecodable")
    schema_id, payload = split(encoded)
    writer_schema = writer_schemas(DEAD_LETTER, schemas).writer_schema(schema_id)
    record = DeadLetterRecord(**_codec().read(payload, writer_schema))
    original = InputMessage(
        position=InputPosition(record.topic, record.partition, record.offset),
        timestamp_ms=record.timestamp,
        key=letter.key,
        value=letter.value,
        headers=original_headers(letter.headers),
    )
    left_out = headers.get(LEFT_OUT_HEADER, b"").decode(errors="replace")
    return DeadLetter(original, record, tuple(left_out.split(",")) if left_out else ())


def is_note(headers: Headers) -> bool:
    """Tell whether a message of the topic of dead letters only notes that a letter was sent again."""
    return any(name == SENT_AGAIN_HEADER for name, _ in headers)


def original_headers(headers: Headers) -> Headers:
    """Return the headers that are not a dead letter's own."""
    return tuple((name, content) for name, content in headers if not name.startswith(PREFIX))


def _fitting(message: InputMessage, max_bytes: int | None) -> tuple[InputMessage, tuple[str, ...]]:
    """Return the message without what is too much, and what that is."""
    left_out: tuple[str, ...] = ()
    for name, nothing in (("value", {"value": None}), ("headers", {"headers": ()}), ("key", {"key": None})):
        if max_bytes is None or _size_of(message) <= max_bytes:
            break
        if getattr(message, name):
            message, left_out = replace(message, **nothing), (*left_out, name)
    return message, left_out


def _size_of(message: InputMessage) -> int:
    headers = sum(len(name.encode()) + len(content) + _HEADER_OVERHEAD_BYTES for name, content in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


@cache
def _codec() -> RecordCodec:
    return RecordCodec(load_schema(DEAD_LETTER))
