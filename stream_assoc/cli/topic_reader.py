"""Read a topic from its beginning or its end, outside of any consumer group."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from stream_assoc.cli.exceptions import CommandError
from stream_assoc.exceptions import RetriableError, StreamAssocError
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.5


def read_topic(kafka: KafkaSettings, topic: str, *, from_beginning: bool) -> Iterator[bytes]:
    """Yield the payloads of a topic's committed messages, for ever.

    Offsets are neither committed nor read from a group, so watching a topic
    never takes a message from anyone.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers and further librdkafka options.
    topic : `str`
        A topic that exists.
    from_beginning : `bool`
        Start with the oldest message kept rather than with the next one.

    Raises
    ------
    CommandError
        If the brokers do not answer or the topic does not exist.
    StreamError
        If Kafka refuses this client, or ends its reading for good.
    """
    from confluent_kafka import Consumer

    from stream_assoc.stream.kafka_errors import translate
    from stream_assoc.stream.kafka_options import consumer_options

    # librdkafka wants a group even of a consumer that joins none.
    group_id = f"stream-assoc-tail-{os.getpid()}"
    consumer = Consumer(
        {
            **consumer_options(kafka.consumer_options(), group_id, None, kafka.max_message_bytes),
            "allow.auto.create.topics": False,
        }
    )
    try:
        consumer.assign(_positions(consumer, topic, from_beginning=from_beginning))
        while True:
            message = consumer.poll(POLL_SECONDS)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                _raise_unless_passing(translate(error, f"reading {topic}"))
                continue
            value = message.value()
            # A message without a payload is a tombstone of a compacted topic.
            if value is not None:
                yield value
    finally:
        consumer.close()


def _raise_unless_passing(failure: StreamAssocError) -> None:
    """Raise a lasting failure; of one that librdkafka itself overcomes, only tell."""
    if not isinstance(failure, RetriableError):
        raise failure
    typer.secho(f"{failure}; still trying", fg=typer.colors.YELLOW, err=True)


def _positions(consumer: "Consumer", topic: str, *, from_beginning: bool) -> "list[TopicPartition]":
    from confluent_kafka import KafkaException, TopicPartition

    from stream_assoc.stream.kafka_errors import describe, error_of

    try:
        found = consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
    except KafkaException as error:
        raise CommandError(
            f"no broker answers within {ANSWER_SECONDS:.0f} s: {describe(error_of(error))}; "
            "check kafka.bootstrap_servers"
        ) from None
    if found.error is not None or not found.partitions:
        raise CommandError(f"there is no topic {topic}; check its name in [kafka], or run `stream-assoc topics init`")
    positions = []
    for partition in sorted(found.partitions):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_SECONDS)
        positions.append(TopicPartition(topic, partition, low if from_beginning else high))
    return positions
