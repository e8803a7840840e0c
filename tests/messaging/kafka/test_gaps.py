"""What is gone before it was read is told by its offsets, and nothing that is there is passed over."""

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.messaging.kafka import topic_identities
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError
from stream_assoc.messaging.kafka.gaps import Gap
from tests.messaging.gap_bench import Bench, knows_its_topic, read_until_told
from tests.messaging.kafka_support import read, until

pytestmark = pytest.mark.integration

NEW = (b"new 0", b"new 1", b"new 2", b"new 3", b"new 4")


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
    monkeypatch.setattr(topic_identities, "ASK_SECONDS", 0.5)
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
    bench.forget_offsets()
    caplog.clear()

    with bench.source() as source:
        assert [message.value for message in read(source, 2)] == [b"0", b"1"]

    assert f"the group has no offset of {bench.topic}[0]: read as auto.offset.reset=earliest" in caplog.text
    assert bench.gaps == []


def test_what_was_deleted_while_offsets_expired_is_told_by_what_daemons_took_up(bench: Bench) -> None:
    bench.fill(b"0", b"1", b"2", b"3", b"4")
    bench.taken_up = {(bench.topic, 0): 2}
    bench.delete_before(3)

    with bench.source() as source:
        assert [message.value for message in read(source, 2)] == [b"3", b"4"]

    assert bench.gaps == [Gap(bench.topic, 0, "deleted", expected=2, resumed=3)]
    assert bench.gaps[0].n_skipped == 1


@pytest.mark.parametrize("n_taken_up", [1, 2])
def test_offsets_that_expired_while_nothing_was_deleted_are_no_gap(bench: Bench, n_taken_up: int) -> None:
    bench.fill(b"0", b"1")
    bench.taken_up = {(bench.topic, 0): n_taken_up}
    with bench.source() as source:
        assert [message.value for message in read(source, 2)] == [b"0", b"1"]
    assert bench.gaps == []


def test_what_the_latest_would_pass_over_is_told_by_what_daemons_took_up(bench: Bench) -> None:
    bench.fill(b"0", b"1", b"2")
    bench.taken_up = {(bench.topic, 0): 1}
    with bench.source(**{"auto.offset.reset": "latest"}) as source:
        until(lambda: bool(source.poll(10, 0.2) or bench.gaps))
        bench.fill(b"3")
        assert [message.value for message in read(source, 1)] == [b"3"]

    assert bench.gaps == [Gap(bench.topic, 0, "skipped", expected=1, resumed=3)]
    assert bench.gaps[0].n_skipped == 2
    assert "offsets 1 to 2 are skipped: the group has no offset" in str(bench.gaps[0])


def test_a_partition_that_ends_before_what_daemons_took_up_has_lost_messages(bench: Bench) -> None:
    bench.fill(b"0", b"1")
    bench.taken_up = {(bench.topic, 0): 5}
    with bench.source() as source:
        assert [message.value for message in read(source, 2)] == [b"0", b"1"]
    assert bench.gaps == [Gap(bench.topic, 0, "truncated", expected=5, resumed=0)]


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
