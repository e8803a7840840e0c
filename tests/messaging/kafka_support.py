"""Topics, clients and waits for the tests on a Kafka cluster."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from uuid import uuid4

from confluent_kafka import Consumer, Message

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.messaging.marks import Partition
from tests.topics import new_topic

__all__ = ["new_topic"]

PATIENCE_SECONDS = 60.0


@contextmanager
def open_source(bootstrap: str, topic: str, group: str, **options: str | int) -> Iterator[KafkaSource]:
    source = KafkaSource({"bootstrap.servers": bootstrap, **options}, [topic], group_id=group)
    try:
        yield source
    finally:
        source.close()


def committed(source: KafkaSource, partitions: Collection[Partition]) -> dict[Partition, int]:
    """Return the group's committed offset of each partition that has one."""
    return {partition: one.offset for partition, one in source.standings(partitions).items()}


def fill(bootstrap: str, topic: str, values: list[bytes], **options: str | int) -> None:
    producer = PlainProducer({"bootstrap.servers": bootstrap, **options})
    producer.send(OutputMessage(topic, value[:16], value) for value in values)
    producer.flush()
    producer.close()


def until(condition: Callable[[], bool]) -> None:
    """Call the condition, which itself waits a little, until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"


def read(source: KafkaSource, count: int, max_messages: int = 100) -> list[InputMessage]:
    messages: list[InputMessage] = []

    def enough() -> bool:
        messages.extend(source.poll(min(max_messages, count - len(messages)), 0.2))
        return len(messages) >= count

    until(enough)
    return messages


def positions(messages: list[InputMessage]) -> list[InputPosition]:
    return [message.position for message in messages]


def contents(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[bytes | None]:
    """Read the topic to its end, as a subscriber of that isolation level would."""
    return [message.value() for message in records(bootstrap, topic, isolation)]


def records(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid4().hex}",
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([topic])
    n_partitions = len(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    found: list[Message] = []
    ended: set[int] = set()

    def at_the_end() -> bool:
        message = consumer.poll(0.2)
        if message is not None and message.error() is not None:
            partition = message.partition()
            assert partition is not None
            ended.add(partition)
        elif message is not None:
            found.append(message)
        return len(ended) == n_partitions

    until(at_the_end)
    consumer.close()
    return found
