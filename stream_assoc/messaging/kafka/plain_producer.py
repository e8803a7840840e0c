"""Messages to Kafka without a transaction: replays and simulated surveys are producers like any other."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_assoc.core.model.messages import OutputMessage, PlacedMessage
from stream_assoc.messaging.kafka.client import DEFAULT_MAX_MESSAGE_BYTES, Options, producer_options
from stream_assoc.messaging.kafka.errors import DeliveryError, KafkaUnavailableError, describe, error_of, translate

DELIVERY_TIMEOUT_SECONDS: Final = 120.0
"""After this time librdkafka gives a message up and reports it."""

FLUSH_TIMEOUT_SECONDS: Final = DELIVERY_TIMEOUT_SECONDS + 10.0
"""By then every message has its report."""


class PlainProducer:
    """An idempotent producer: each message is written once, in order, and every one is accounted for.

    Parameters
    ----------
    options : `Mapping`
        librdkafka's options by their own names, ``bootstrap.servers`` among them.
    max_message_bytes : `int`
        Largest message to be sent.

    Raises
    ------
    KafkaConfigurationError
        If an option is unknown or has an impossible value.
    """

    def __init__(self, options: Options, *, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        all_options = producer_options(
            {"delivery.timeout.ms": round(DELIVERY_TIMEOUT_SECONDS * 1000), **options}, max_message_bytes
        )
        self._failures: list[tuple[OutputMessage, KafkaError]] = []
        try:
            self._producer = Producer({**all_options, "delivery.report.only.error": True})
        except KafkaException as exception:
            raise translate(error_of(exception), "making a producer") from exception

    def send(self, messages: Iterable[OutputMessage]) -> None:
        """Send the messages, in order; whether they arrived is told by `flush`.

        Raises
        ------
        OutputTooLargeError
            If a message is larger than ``max_message_bytes``.
        """
        for message in messages:
            try:
                enqueue(self._producer, message, partial(self._note_failure, message))
            except KafkaException as exception:
                raise translate(error_of(exception), f"sending to {message.topic}") from exception
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until each message sent is known to be written.

        Raises
        ------
        DeliveryError
            If some are not; it lists them.
        KafkaConfigurationError, OutputTooLargeError
            If the first that failed can never be written.
        """
        unreported = self._producer.flush(FLUSH_TIMEOUT_SECONDS)
        failures, self._failures = self._failures, []
        if unreported:
            raise KafkaUnavailableError(f"{unreported} message(s) neither confirmed nor refused; none is known lost")
        if failures:
            first = translate(failures[0][1], f"sending to {failures[0][0].topic}")
            if not isinstance(first, KafkaUnavailableError):
                raise first
            raise DeliveryError(describe(failures[0][1]), [message for message, _ in failures])

    def close(self) -> None:
        """Release the connection; what was not flushed may be lost."""
        self._producer.purge()
        self._producer.flush(0)

    def _note_failure(self, message: OutputMessage, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append((message, error))


QUEUE_WAIT_SECONDS: Final = 0.1
"""How long to let librdkafka send when its queue is full, before the next try."""

DeliveryReport = Callable[[KafkaError | None, Message], None]


def enqueue(producer: Producer, message: OutputMessage | PlacedMessage, report: DeliveryReport) -> None:
    """Hand a message to librdkafka, waiting while its queue is full.

    The wait ends: messages that cannot be sent leave the queue at their timeout.

    Raises
    ------
    confluent_kafka.KafkaException
        If librdkafka refuses the message at once: too large, or the client is broken.
    """
    while True:
        try:
            producer.produce(
                message.topic,
                value=message.value,
                key=message.key,
                partition=message.partition,
                headers=list(message.headers) or None,
                on_delivery=report,
            )
        except BufferError:
            producer.poll(QUEUE_WAIT_SECONDS)
        else:
            return
