"""A group on a topic that loses messages, and what the group is told of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_assoc.messaging.kafka.errors import error_of
from stream_assoc.messaging.kafka.gaps import Gap
from stream_assoc.messaging.kafka.hooks import SourceHooks
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.messaging.kafka.topic_identities import KafkaTopicIdentities
from stream_assoc.messaging.marks import Partition
from tests.messaging.kafka_support import fill, new_topic, positions, read, until
from tests.topics import make_topics


class Bench:
    """A group on a topic of its own, and what it is told of gaps."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topic = new_topic(bootstrap)
        self.group = f"group-{uuid4().hex}"
        self.gaps: list[Gap] = []
        self.taken_up: dict[Partition, int] = {}

    @contextmanager
    def source(self, **options: str) -> Iterator[KafkaSource]:
        source = KafkaSource(
            {"bootstrap.servers": self.bootstrap, **options},
            [self.topic],
            group_id=self.group,
            identities=KafkaTopicIdentities({"bootstrap.servers": self.bootstrap}, [self.topic]),
            taken_up=lambda partitions: self.taken_up,
            hooks=SourceHooks(on_gap=self.gaps.append),
        )
        try:
            yield source
        finally:
            source.close()

    def fill(self, *values: bytes) -> None:
        fill(self.bootstrap, self.topic, list(values))

    def commit(self, source: KafkaSource, count: int) -> None:
        """Read so many messages, and commit that they are done."""
        publisher = KafkaPublisher({"bootstrap.servers": self.bootstrap}, source, transactional_id=self.group)
        publisher.publish([], positions(read(source, count)))
        publisher.close()

    def forget_offsets(self) -> None:
        """Let the broker have no offset of the group any more, as after offsets.retention.minutes."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.delete_consumer_groups([self.group])[self.group].result(30)

    def delete_before(self, offset: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.delete_records([TopicPartition(self.topic, 0, offset)]).values():
            done.result(30)

    def make_anew(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.delete_topics([self.topic])[self.topic].result(30)
        until(lambda: made(self.bootstrap, self.topic))


def made(bootstrap: str, topic: str) -> bool:
    try:
        make_topics(bootstrap, [topic])
    except KafkaException as exception:
        # The old one is still being deleted.
        if error_of(exception).code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True


def knows_its_topic(source: KafkaSource) -> bool:
    """Idle until what is committed will say of which topic it is; what is read meanwhile is read again."""
    messages = source.poll(100, 0.2)
    if messages:
        source.rewind(positions(messages))
    return any(source._places.note(partition) for partition in source.partitions)


def read_until_told(source: KafkaSource, bench: Bench, count: int) -> list[bytes | None]:
    """Read until a gap is told and so many values are read; return them all."""
    values: list[bytes | None] = []

    def is_told() -> bool:
        values.extend(message.value for message in source.poll(100, 0.2))
        return bool(bench.gaps) and len(set(values)) >= count

    until(is_told)
    return values
