"""The topic of dead letters, read from its oldest message to the one that was its last when asked."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.kafka.client import consumer_options, input_message
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError, error_of, translate
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.dead_letters.exceptions import DeadLetterNotFoundError
from stream_assoc.tools.dead_letters.filed import Address, FiledDeadLetter, filed

ANSWER_SECONDS: Final = 10.0
"""Longest wait for an answer about the topic."""

SILENCE_SECONDS: Final = 60.0
"""After so long without a message, where there must be one, the broker is taken to be away."""

POLL_SECONDS: Final = 0.5


class DeadLetterTopic:
    """Reads dead letters outside of any consumer group, so it takes them from nobody.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers, topic and further librdkafka options.

    Raises
    ------
    KafkaConfigurationError
        If an option is unknown or has an impossible value.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._topic = kafka.dead_letter_topic
        self._doing = f"reading {self._topic}"
        # librdkafka wants a group even of a consumer that joins none.
        group_id = f"stream-assoc-dlq-{os.getpid()}"
        options = {
            **consumer_options(kafka.consumer_options(), group_id, None, kafka.max_message_bytes),
            "allow.auto.create.topics": False,
            # Transactions leave marks, so an offset below the end may hold no message.
            "enable.partition.eof": True,
        }
        with self._translated():
            self._consumer = Consumer(options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._consumer.close()

    def messages(self) -> Iterator[InputMessage]:
        """Yield the messages there are now, each partition in order; what comes later is left out.

        Raises
        ------
        KafkaConfigurationError
            If the topic does not exist or may not be read.
        KafkaUnavailableError
            If no broker answers.
        """
        spans = {partition: self._span(partition) for partition in self._partitions()}
        ends = {partition: span.stop for partition, span in spans.items() if span}
        with self._translated():
            self._consumer.assign(
                [TopicPartition(self._topic, partition, spans[partition].start) for partition in ends]
            )
        while ends:
            message = self._next()
            partition, offset = message.partition() or 0, message.offset() or 0
            if partition not in ends:
                continue
            if message.error() is None and offset < ends[partition]:
                yield input_message(message)
            if message.error() is not None or offset + 1 >= ends[partition]:
                del ends[partition]

    def letter(self, address: Address) -> FiledDeadLetter:
        """Return the letter at an address.

        Raises
        ------
        DeadLetterNotFoundError
            If nothing lies there.
        DecodeError
            If what lies there is no dead letter.
        """
        if address.partition not in self._partitions() or address.offset not in self._span(address.partition):
            raise self._not_found(address)
        with self._translated():
            self._consumer.assign([TopicPartition(self._topic, *address)])
        message = self._next()
        if message.error() is not None or message.offset() != address.offset:
            raise self._not_found(address)
        return filed(input_message(message))

    def _not_found(self, address: Address) -> DeadLetterNotFoundError:
        return DeadLetterNotFoundError(
            f"{self._topic} has no letter at {address}; it may be older than the topic keeps. "
            "`stream-assoc dlq ls` lists what is there"
        )

    def _next(self) -> Message:
        """Return the next message, or the word that a partition ends."""
        deadline = time.monotonic() + SILENCE_SECONDS
        while time.monotonic() < deadline:
            with self._translated():
                message = self._consumer.poll(POLL_SECONDS)
            if message is None:
                continue
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                return message
            failure = translate(error, self._doing)
            # librdkafka gets over the others by itself.
            if isinstance(failure, FatalError):
                raise failure
        raise KafkaUnavailableError(f"{self._doing}: no message for {SILENCE_SECONDS:.0f} s; is the broker up?")

    def _partitions(self) -> list[int]:
        with self._translated():
            found = self._consumer.list_topics(self._topic, timeout=ANSWER_SECONDS).topics[self._topic]
        if found.error is not None:
            raise translate(found.error, self._doing)
        return sorted(found.partitions)

    def _span(self, partition: int) -> range:
        """Return the offsets that may hold a message."""
        with self._translated():
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=ANSWER_SECONDS
            )
        return range(low, high)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as exception:
            raise translate(error_of(exception), self._doing) from exception
