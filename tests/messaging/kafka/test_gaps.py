"""What is gone before it was read is told by its offsets, and nothing that is there is passed over."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.messaging.kafka import gaps
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError, error_of
from stream_assoc.messaging.kafka.gaps import Gap, KafkaTopicIdentities
from stream_assoc.messaging.kafka.hooks import SourceHooks
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from tests.messaging.kafka_support import fill, new_topic, positions, read, until
from tests.topics import make_topics

pytestmark = pytest.mark.integration

NEW = (b"new 0", b"new 1", b"new 2", b"new 3", b"new 4")


class Bench:
    """A group on a topic of its own, and what it is told of gaps."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topic = new_topic(bootstrap)
        self.group = f"group-{uuid4().hex}"
        self.gaps: list[Gap] = []

    @contextmanager
    def source(self, **options: str) -> Iterator[KafkaSource]:
        source = KafkaSource(
            {"bootstrap.servers": self.bootstrap, **options},
            [self.topic],
            group_id=self.group,
            identities=KafkaTopicIdentities({"bootstrap.servers": self.bootstrap}, [self.topic]),
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


@pytest.fixture
def bench(kafka_bootstrap: str) -> Bench:
    return Bench(kafka_bootstrap)


def test_what_is_deleted_while_nobody_reads_is_told_by_its_offsets(bench: Bench) -> None:
    bench.fill(b"0", b"1", b"2", b"3", b"4")
    with bench.source() as source:
        bench.commit(source, 1)
    bench.delete_before(3)

    with bench.source() as source:
        values = [message.value for message in read(source, 2)]

    assert values == [b"3", b"4"]
    assert bench.gaps == [Gap(bench.topic, 0, "deleted", expected=1, resumed=3)]
    assert bench.gaps[0].n_skipped == 2
    assert str(bench.gaps[0]) == f"{bench.topic}[0]: offsets 1 to 2 were gone before they were read"


def test_what_is_deleted_while_a_daemon_waits_is_told_too(bench: Bench) -> None:
    bench.fill(b"0")
    with bench.source() as source:
        read(source, 1)
        source.pause()
        source.idle(0.5)
        bench.fill(b"1", b"2", b"3")
        bench.delete_before(3)
        source.resume()
        source.rewind([InputPosition(bench.topic, 0, 1)])

        assert [message.value for message in read(source, 1)] == [b"3"]

    assert bench.gaps == [Gap(bench.topic, 0, "deleted", expected=1, resumed=3)]


def test_a_group_that_has_read_nothing_misses_nothing(bench: Bench) -> None:
    bench.fill(b"0", b"1", b"2")
    bench.delete_before(2)
    with bench.source() as source:
        assert [message.value for message in read(source, 1)] == [b"2"]
    assert bench.gaps == []


def test_a_group_that_wants_the_latest_skips_to_the_end_and_says_so(bench: Bench) -> None:
    bench.fill(b"0", b"1", b"2", b"3")
    with bench.source() as source:
        bench.commit(source, 1)
    bench.delete_before(2)

    with bench.source(**{"auto.offset.reset": "latest"}) as source:
        until(lambda: bool(source.poll(10, 0.2) or bench.gaps))

    assert bench.gaps == [Gap(bench.topic, 0, "deleted", expected=1, resumed=4)]


@pytest.mark.parametrize(
    ("n_committed", "words"),
    [(0, r"the group has no offset of .*\[0\]"), (1, r"offsets 1 to 2 were gone before they were read")],
)
def test_a_daemon_that_may_not_go_on_elsewhere_stops_and_says_why(bench: Bench, n_committed: int, words: str) -> None:
    bench.fill(b"0", b"1", b"2", b"3")
    if n_committed:
        with bench.source() as source:
            bench.commit(source, n_committed)
        bench.delete_before(3)

    with (
        bench.source(**{"auto.offset.reset": "error"}) as source,
        pytest.raises(KafkaConfigurationError, match=rf"{words}.*auto\.offset\.reset is error"),
    ):
        until(lambda: bool(source.poll(10, 0.2)))


def test_a_topic_made_anew_while_nobody_reads_is_read_from_its_beginning(bench: Bench) -> None:
    """With a topic, Kafka deletes what groups have committed of it."""
    bench.fill(b"0", b"1", b"2")
    with bench.source() as source:
        bench.commit(source, 3)
    bench.make_anew()
    bench.fill(*NEW)

    with bench.source() as source:
        assert tuple(message.value for message in read(source, 5)) == NEW


def test_what_was_committed_of_another_topic_is_not_believed_at_the_next_start(bench: Bench) -> None:
    """A daemon that was killed before it knew that it read another topic has skipped what was new."""
    bench.fill(b"0", b"1", b"2")
    with bench.source() as source:
        until(lambda: knows_its_topic(source))
        bench.commit(source, 3)
        # Nothing is asked of the topic while it is short.
        source.pause()
        source.idle(1.0)
        bench.make_anew()
        bench.fill(*NEW)
        source.resume()
        bench.commit(source, 2)

    with bench.source() as source:
        assert set(read_until_told(source, bench, 5)) == set(NEW)

    assert bench.gaps == [Gap(bench.topic, 0, "recreated", expected=5, resumed=0)]


def test_a_topic_made_anew_under_a_daemon_is_read_from_its_beginning(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "ASK_SECONDS", 0.5)
    bench.fill(b"0", b"1", b"2")
    with bench.source() as source:
        until(lambda: knows_its_topic(source))
        bench.commit(source, 3)
        source.pause()
        source.idle(1.0)
        bench.make_anew()
        bench.fill(*NEW)
        source.resume()

        assert set(read_until_told(source, bench, 5)) == set(NEW)

    assert [(gap.cause, gap.resumed) for gap in bench.gaps] == [("recreated", 0)]


def test_a_shorter_topic_under_the_same_name_is_read_from_its_beginning(bench: Bench) -> None:
    bench.fill(b"0", b"1", b"2")
    with bench.source() as source:
        bench.commit(source, 3)
        bench.make_anew()
        bench.fill(b"new 0")
        assert [message.value for message in read(source, 1)] == [b"new 0"]

    assert bench.gaps == [Gap(bench.topic, 0, "truncated", expected=3, resumed=0)]


def test_offsets_that_are_gone_are_told_and_all_is_read_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Deleted by an operator, or expired."""
    caplog.set_level("INFO", "stream_assoc.kafka")
    bench.fill(b"0", b"1")
    with bench.source() as source:
        bench.commit(source, 2)
    admin = AdminClient({"bootstrap.servers": bench.bootstrap})
    admin.delete_consumer_groups([bench.group])[bench.group].result(30)
    caplog.clear()

    with bench.source() as source:
        assert [message.value for message in read(source, 2)] == [b"0", b"1"]

    assert f"the group has no offset of {bench.topic}[0]: read as auto.offset.reset=earliest" in caplog.text
    assert bench.gaps == []


def test_an_offset_that_somebody_else_has_set_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.fill(b"0", b"1", b"2")
    with bench.source() as source:
        until(lambda: knows_its_topic(source))
        bench.commit(source, 1)
    with bench.source() as source:
        read(source, 1)
    assert "was set by somebody else" not in caplog.text
    admin = AdminClient({"bootstrap.servers": bench.bootstrap})
    moved = ConsumerGroupTopicPartitions(bench.group, [TopicPartition(bench.topic, 0, 2)])
    admin.alter_consumer_group_offsets([moved])[bench.group].result(30)

    with bench.source() as source:
        assert [message.value for message in read(source, 1)] == [b"2"]

    assert f"the group's offset of {bench.topic}[0] at 2 was set by somebody else" in caplog.text


def test_a_partition_that_is_added_is_read_from_its_beginning(bench: Bench) -> None:
    bench.fill(b"0")
    with bench.source(**{"topic.metadata.refresh.interval.ms": "500"}) as source:
        read(source, 1)
        admin = AdminClient({"bootstrap.servers": bench.bootstrap})
        admin.create_partitions([NewPartitions(bench.topic, 2)])[bench.topic].result(30)
        producer = Producer({"bootstrap.servers": bench.bootstrap, "topic.metadata.refresh.interval.ms": "100"})
        until(lambda: len(producer.list_topics(bench.topic, timeout=10).topics[bench.topic].partitions) == 2)
        producer.produce(bench.topic, b"added", partition=1)
        assert producer.flush(30) == 0

        assert [message.value for message in read(source, 1)] == [b"added"]
        assert source.partitions == {(bench.topic, 0), (bench.topic, 1)}
    assert bench.gaps == []


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
