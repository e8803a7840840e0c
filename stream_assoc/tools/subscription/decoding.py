"""Messages of each output topic to records; what cannot be read is said, and harms no other message."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.alerts.decoder import Alert, decode_alert
from stream_assoc.messaging.avro.alerts.schemas import known_alert_schemas
from stream_assoc.messaging.avro.dead_letters import DeadLetter, is_note, read_dead_letter
from stream_assoc.messaging.avro.output_decoder import decode_forced_sources, decode_metrics, decode_objects
from stream_assoc.messaging.avro.wire import TopicSchemas, WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.subscription.records import BadMessage, DiaObjectUpdate, ForcedSource

Record = TypeVar("Record", covariant=True)  # noqa: PLC0105 - reads better where it is used
Single = TypeVar("Single")


class Decoder(Protocol[Record]):
    """Turns messages into records."""

    def decode(self, messages: Sequence[InputMessage]) -> "Iterator[Record | BadMessage | None]":
        """Yield one record, what is wrong, or `None` where there is nothing to tell, for each message in order."""


class OneByOne(Generic[Single]):
    """A decoder of messages by themselves: metrics, dead letters and alerts.

    Parameters
    ----------
    decode_one : callable
        Returns the record of a message, or raises `DecodeError`.
    """

    def __init__(self, decode_one: Callable[[InputMessage], Single]) -> None:
        self._decode_one = decode_one

    def decode(self, messages: Sequence[InputMessage]) -> Iterator[Single | BadMessage]:
        """Yield one record, or what is wrong, for each message in order."""
        for message in messages:
            try:
                record: Single | BadMessage = self._decode_one(message)
            except DecodeError as error:
                record = BadMessage(message.position, error)
            yield record


def metrics_decoder(schemas: WriterSchemas | None) -> OneByOne[AssociationMetrics | None]:
    """Return the decoder of the metrics topic; a tombstone, which only a compaction would need, tells nothing."""
    return OneByOne(lambda message: None if message.value is None else decode_metrics(message.value, schemas))


def dead_letter_decoder(schemas: WriterSchemas | None) -> OneByOne[DeadLetter | None]:
    """Return the decoder of the topic of dead letters; a note that one was sent again tells nothing."""
    return OneByOne(lambda message: None if is_note(message.headers) else read_dead_letter(message, schemas))


def alerts_decoder(schemas: WriterSchemas | None) -> OneByOne[Alert]:
    """Return the decoder of the topic of alerts, of every version; ``schemas`` knows ids that are not Rubin's."""
    known = known_alert_schemas()
    of_topic = known if schemas is None else TopicSchemas(known, schemas)
    return OneByOne(lambda message: decode_alert(message.value, of_topic))


class RowsDecoder(Generic[Single]):
    """A decoder of topics whose messages are many: they are decoded together, as a visit has ten thousand.

    Parameters
    ----------
    decode_rows : callable
        Returns one row for each message that has a value, or raises `DecodeError`.
    record_of : callable
        Returns the record of a row.
    without_value : callable
        Returns what a message without a value tells.
    """

    def __init__(
        self,
        decode_rows: Callable[[Sequence[bytes]], pa.RecordBatch],
        record_of: Callable[[dict[str, Any]], Single],
        without_value: Callable[[InputMessage], Single | BadMessage],
    ) -> None:
        self._decode_rows = decode_rows
        self._record_of = record_of
        self._without_value = without_value

    def decode(self, messages: Sequence[InputMessage]) -> Iterator[Single | BadMessage]:
        """Yield one record, or what is wrong, for each message in order."""
        try:
            rows = self._decode_rows([one.value for one in messages if one.value is not None]).to_pylist()
        except DecodeError as error:
            if len(messages) == 1:
                yield BadMessage(messages[0].position, error)
                return
            # One of them is bad: each by itself tells which.
            for message in messages:
                yield from self.decode([message])
            return
        remaining = iter(rows)
        for message in messages:
            yield self._without_value(message) if message.value is None else self._record_of(next(remaining))


def objects_decoder(schemas: WriterSchemas | None) -> RowsDecoder[DiaObjectUpdate]:
    """Return the decoder of the objects topic; a tombstone tells of an end."""
    return RowsDecoder(lambda values: decode_objects(values, schemas), _update, _ended)


def forced_sources_decoder(schemas: WriterSchemas | None) -> RowsDecoder[ForcedSource]:
    """Return the decoder of the topic of forced sources, none of whose messages is without a value."""
    return RowsDecoder(lambda values: decode_forced_sources(values, schemas), ForcedSource, _empty)


def _update(row: dict[str, Any]) -> DiaObjectUpdate:
    statistics, of_plugins = row.pop("statistics") or {}, row.pop("pluginStatistics") or ()
    return DiaObjectUpdate(row["diaObjectId"], row | statistics | dict(of_plugins))


def _empty(message: InputMessage) -> BadMessage:
    return BadMessage(message.position, DecodeError("a forced source without a value", "empty"))


def _ended(message: InputMessage) -> DiaObjectUpdate | BadMessage:
    text = (message.key or b"").decode("ascii", "replace")
    if not text.isdecimal():
        return BadMessage(
            message.position, DecodeError(f"a tombstone's key {text!r} is no diaObjectId", "undecodable")
        )
    return DiaObjectUpdate(int(text), None)
