"""The consumer, on a real broker."""

import contextlib
from uuid import uuid4

import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.messaging.kafka.client import Options
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError
from stream_assoc.messaging.kafka.hooks import SourceHooks
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from tests.messaging.kafka_support import committed, fill, new_topic, open_source, positions, read, until

pytestmark = pytest.mark.integration

HALF_AN_HOUR = {"session.timeout.ms": 1_800_000, "max.poll.interval.ms": 1_800_000}
"""The longest session that a broker allows by itself."""

LARGE_TOPIC = {"max_message_bytes": str(64 * 2**20)}


@pytest.fixture
def group() -> str:
    return f"group-{uuid4().hex}"


def drain(source: KafkaSource) -> list[bytes | None]:
    """Poll until a poll that waited comes back empty."""
    values: list[bytes | None] = []
    while messages := source.poll(100, 1.0):
        values.extend(message.value for message in messages)
    return values


def test_messages_come_whole_and_in_order(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap)
    producer = PlainProducer({"bootstrap.servers": kafka_bootstrap})
    producer.send([OutputMessage(topic, b"k", b"v", (("h", b"\x00"),)), OutputMessage(topic, None, None)])
    producer.flush()

    with open_source(kafka_bootstrap, topic, group) as source:
        first, second = read(source, 2)

    assert first.position == InputPosition(topic, 0, 0)
    assert (first.key, first.value, first.headers) == (b"k", b"v", (("h", b"\x00"),))
    assert first.timestamp_ms > 1_600_000_000_000
    assert (second.position.offset, second.key, second.value, second.headers) == (1, None, None, ())


def test_no_more_messages_than_asked(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap)
    fill(kafka_bootstrap, topic, [b"%d" % i for i in range(10)])

    with open_source(kafka_bootstrap, topic, group) as source:
        until(lambda: bool(source.poll(1, 0.2)))
        assert len(source.poll(4, 5.0)) <= 4


def test_a_message_of_20_mb_comes_through(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap, 1, **LARGE_TOPIC)
    value = bytes(range(256)) * (20 * 2**20 // 256)
    fill(kafka_bootstrap, topic, [value], **{"compression.type": "none"})

    with open_source(kafka_bootstrap, topic, group) as source:
        [message] = read(source, 1)

    assert message.value == value


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_a_message_above_the_limit_blocks_nothing(kafka_bootstrap: str, group: str, compression: str) -> None:
    """Compressed, it is small for the broker and large for who reads it."""
    topic = new_topic(kafka_bootstrap, 1, **LARGE_TOPIC)
    large = bytes(30 * 2**20)
    fill(kafka_bootstrap, topic, [b"before", large, b"behind"], **{"compression.type": compression})

    source = KafkaSource(
        {"bootstrap.servers": kafka_bootstrap}, [topic], group_id=group, max_message_bytes=1024 * 1024
    )
    assert [message.value for message in read(source, 3)] == [b"before", large, b"behind"]
    source.close()


def test_rewinding_reads_the_same_again(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap)
    fill(kafka_bootstrap, topic, [b"%d" % i for i in range(10)])

    with open_source(kafka_bootstrap, topic, group) as source:
        messages = read(source, 10)
        source.rewind([message.position for message in messages[6:3:-1]])
        assert not source.owns(messages[4].position)
        assert source.owns(messages[3].position)
        assert read(source, 6) == messages[4:]
        assert source.owns(messages[4].position)


def test_rewinding_passes_over_partitions_of_others(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap)
    fill(kafka_bootstrap, topic, [b"0"])

    with open_source(kafka_bootstrap, topic, group) as source:
        read(source, 1)
        source.rewind([InputPosition(topic, 7, 0), InputPosition("elsewhere", 0, 0)])
        assert drain(source) == []


def test_a_paused_source_delivers_nothing_and_stays_a_member(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap)
    fill(kafka_bootstrap, topic, [b"0"])
    options = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500, "max.poll.interval.ms": 3000}

    with open_source(kafka_bootstrap, topic, group, **options) as source:
        read(source, 1)
        source.pause()
        fill(kafka_bootstrap, topic, [b"1"])
        source.idle(4.0)
        assert source.poll(10, 0.5) == []
        assert source.partitions == {(topic, 0)}
        source.resume()
        assert [message.value for message in read(source, 1)] == [b"1"]


def test_partitions_assigned_during_a_pause_are_paused_too(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap, partitions=2)
    fill(kafka_bootstrap, topic, [b"%d" % i for i in range(20)])

    with open_source(kafka_bootstrap, topic, group) as source:
        source.pause()
        until(lambda: source.poll(10, 0.2) == [] and len(source.partitions) == 2)
        assert drain(source) == []
        source.resume()
        assert len(read(source, 20)) == 20


def test_a_partition_that_went_during_a_pause_delivers_when_it_comes_back(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap, partitions=2)

    with open_source(kafka_bootstrap, topic, group) as source:
        until(lambda: source.poll(1, 0.2) == [] and len(source.partitions) == 2)
        source.pause()
        with open_source(kafka_bootstrap, topic, group) as other:

            def is_shared() -> bool:
                source.idle(0.2)
                return other.poll(1, 0.2) == [] and len(source.partitions) == len(other.partitions) == 1

            until(is_shared)
            source.resume()
        until(lambda: source.poll(1, 0.2) == [] and len(source.partitions) == 2)
        fill(kafka_bootstrap, topic, [b"%d" % i for i in range(20)])
        assert len(read(source, 20)) == 20


def test_idling_without_a_pause_loses_nothing(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap)
    fill(kafka_bootstrap, topic, [b"0", b"1"])

    with open_source(kafka_bootstrap, topic, group) as source:
        source.idle(3.0)
        assert [message.value for message in read(source, 2)] == [b"0", b"1"]


def test_a_revoked_partition_can_still_be_committed_in_the_hook(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap, partitions=2)
    fill(kafka_bootstrap, topic, [b"%d" % i for i in range(100)])
    revoked: set[tuple[str, int]] = set()

    micro_batch: list[InputMessage] = []

    def finish(partitions: frozenset[tuple[str, int]]) -> None:
        # Leaving the group at the end is a revocation too.
        if not revoked:
            publisher.publish([], [position for position in positions(micro_batch) if first.owns(position)])
            revoked.update(partitions)

    hooks = SourceHooks(on_revoke=finish)
    options = {"bootstrap.servers": kafka_bootstrap}
    with contextlib.closing(KafkaSource(options, [topic], group_id=group, hooks=hooks)) as first:
        publisher = KafkaPublisher({"bootstrap.servers": kafka_bootstrap}, first, transactional_id=group)
        micro_batch += read(first, 100)
        with open_source(kafka_bootstrap, topic, group) as second:
            left: list[bytes | None] = []

            def is_shared() -> bool:
                first.poll(1, 0.1)
                left.extend(message.value for message in second.poll(100, 0.1))
                return len(first.partitions) == len(second.partitions) == 1

            until(is_shared)
            assert revoked == second.partitions
            assert left + drain(second) == []
            assert {first.owns(message.position) for message in micro_batch} == {True, False}


def test_nobody_waits_for_a_static_member_that_has_left(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap, partitions=2)
    options: Options = {"bootstrap.servers": kafka_bootstrap, "heartbeat.interval.ms": 500, **HALF_AN_HOUR}
    revoked: list[frozenset[tuple[str, int]]] = []
    hooks = SourceHooks(on_revoke=revoked.append)
    with contextlib.closing(KafkaSource(options, [topic], group_id=group, group_instance_id="stays")) as stays:
        leaves = KafkaSource(options, [topic], group_id=group, group_instance_id="leaves", hooks=hooks)
        until(lambda: [one.poll(1, 0.1) or len(one.partitions) for one in (stays, leaves)] == [1, 1])
        (own,) = leaves.partitions
        leaves.close(leave=True)
        # As of any revocation, what is in hand may be committed until it is told.
        assert revoked == [{own}]
        until(lambda: stays.poll(1, 0.1) == [] and len(stays.partitions) == 2)


def test_lag_counts_what_is_left_to_read(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap, partitions=2)
    fill(kafka_bootstrap, topic, [b"%d" % i for i in range(10)])

    with open_source(kafka_bootstrap, topic, group) as source:
        messages = read(source, 3, max_messages=3)
        assert sum(source.lag().values()) <= 7
        messages += read(source, 10 - len(messages))
        # All has been read, so both partitions have been fetched.
        assert source.lag() == {(topic, 0): 0, (topic, 1): 0}
        source.rewind([message.position for message in messages])
        assert sum(source.lag().values()) == 10


def test_only_partitions_with_an_offset_are_committed(kafka_bootstrap: str, group: str) -> None:
    topic = new_topic(kafka_bootstrap, partitions=2)

    with open_source(kafka_bootstrap, topic, group) as source:
        assert committed(source, [(topic, 0), (topic, 1)]) == {}
        assert committed(source, []) == {}


def test_a_missing_input_topic_is_named(kafka_bootstrap: str, group: str) -> None:
    with (
        open_source(kafka_bootstrap, "absent-topic", group) as source,
        pytest.raises(KafkaConfigurationError, match=r"absent-topic.*topics init"),
    ):
        until(lambda: bool(source.poll(1, 0.2)))


def test_an_unknown_option_is_refused_at_once(kafka_bootstrap: str, group: str) -> None:
    with pytest.raises(KafkaConfigurationError, match=r"no\.such\.option"):
        KafkaSource({"bootstrap.servers": kafka_bootstrap, "no.such.option": 1}, ["any"], group_id=group)
