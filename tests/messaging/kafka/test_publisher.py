"""The transactional publisher, on a real broker."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Queue
from threading import Event
from typing import cast
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.exceptions import PublishError
from stream_assoc.messaging.kafka import publisher as kafka_publisher
from stream_assoc.messaging.kafka import source as kafka_source
from stream_assoc.messaging.kafka.errors import (
    KafkaConfigurationError,
    KafkaUnavailableError,
    OutputTooLargeError,
    PartitionLostError,
    ProducerFencedError,
)
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from tests.messaging.kafka_support import committed, contents, fill, new_topic, open_source, positions, read, records

pytestmark = pytest.mark.integration


@dataclass
class Flow:
    bootstrap: str
    inputs: str
    outputs: str
    group: str
    source: KafkaSource
    publisher: KafkaPublisher

    def committed(self) -> int | None:
        return committed(self.source, [(self.inputs, 0)]).get((self.inputs, 0))

    def again(self) -> KafkaPublisher:
        return KafkaPublisher({"bootstrap.servers": self.bootstrap}, self.source, transactional_id=self.group)


@pytest.fixture
def flow(kafka_bootstrap: str) -> Iterator[Flow]:
    inputs, outputs = new_topic(kafka_bootstrap), new_topic(kafka_bootstrap)
    group = f"group-{uuid4().hex}"
    with open_source(kafka_bootstrap, inputs, group) as source:
        publisher = KafkaPublisher({"bootstrap.servers": kafka_bootstrap}, source, transactional_id=group)
        fill(kafka_bootstrap, inputs, [b"a", b"b", b"c"])
        yield Flow(kafka_bootstrap, inputs, outputs, group, source, publisher)
        publisher.close()


def test_outputs_and_offsets_are_committed_together(flow: Flow) -> None:
    messages = read(flow.source, 3)

    flow.publisher.publish([OutputMessage(flow.outputs, b"k", b"1")], positions(messages[:2]))

    assert contents(flow.bootstrap, flow.outputs) == [b"1"]
    assert flow.committed() == 2


def test_an_output_keeps_its_key_value_and_headers(flow: Flow) -> None:
    headers = (("reason", b"undecodable"), ("reason", b"\x00\xff"))
    message = OutputMessage(flow.outputs, b"\x00key", None, headers)

    flow.publisher.publish([message], positions(read(flow.source, 1)))

    [record] = records(flow.bootstrap, flow.outputs)
    assert (record.key(), record.value(), tuple(record.headers() or ())) == (b"\x00key", None, headers)


def test_offsets_are_committed_without_any_output(flow: Flow) -> None:
    flow.publisher.publish([], positions(read(flow.source, 3)))

    assert flow.committed() == 3


def test_outputs_are_published_without_any_input(flow: Flow) -> None:
    flow.publisher.publish([OutputMessage(flow.outputs, None, b"1")], [])

    assert contents(flow.bootstrap, flow.outputs) == [b"1"]
    assert flow.committed() is None


def test_an_aborted_transaction_leaves_nothing_that_a_subscriber_sees(flow: Flow) -> None:
    messages = read(flow.source, 1)
    good = OutputMessage(flow.outputs, None, b"1")

    with pytest.raises(OutputTooLargeError, match=r"kafka\.max_message_bytes"):
        flow.publisher.publish([good, OutputMessage(flow.outputs, None, bytes(2**27))], positions(messages))
    flow.publisher.publish([OutputMessage(flow.outputs, None, b"2")], positions(messages))

    assert contents(flow.bootstrap, flow.outputs) == [b"2"]
    assert flow.committed() == 1


def test_a_message_that_its_topic_refuses_aborts_the_transaction(flow: Flow) -> None:
    small = new_topic(flow.bootstrap, max_message_bytes="1000")
    incompressible = random.Random(1).randbytes(20_000)
    messages = read(flow.source, 1)

    with pytest.raises(OutputTooLargeError, match=r"max\.message\.bytes"):
        flow.publisher.publish(
            [OutputMessage(flow.outputs, None, b"1"), OutputMessage(small, None, incompressible)],
            positions(messages),
        )

    assert contents(flow.bootstrap, flow.outputs) == []
    assert flow.committed() is None


def test_a_missing_output_topic_is_named(kafka_bootstrap: str, flow: Flow) -> None:
    publisher = KafkaPublisher(
        {"bootstrap.servers": kafka_bootstrap, "topic.metadata.propagation.max.ms": 100},
        flow.source,
        transactional_id=flow.group,
    )

    with pytest.raises(KafkaConfigurationError, match="topics init"):
        publisher.publish([OutputMessage(f"absent-{uuid4().hex}", None, b"1")], positions(read(flow.source, 1)))


def test_a_second_daemon_of_the_same_transactional_id_fences_the_first(flow: Flow) -> None:
    messages = read(flow.source, 1)
    newer = flow.again()

    with pytest.raises(ProducerFencedError, match=r"kafka\.transactional_id"):
        flow.publisher.publish([OutputMessage(flow.outputs, None, b"old")], positions(messages))
    newer.publish([OutputMessage(flow.outputs, None, b"new")], positions(messages))

    assert contents(flow.bootstrap, flow.outputs) == [b"new"]


def test_nothing_is_published_for_a_partition_that_went_to_another_member(flow: Flow) -> None:
    messages = read(flow.source, 1)
    flow.source.close()

    with pytest.raises(PartitionLostError) as caught:
        flow.publisher.publish([OutputMessage(flow.outputs, None, b"1")], positions(messages))

    assert caught.value.positions == tuple(positions(messages))
    assert contents(flow.bootstrap, flow.outputs) == []


def test_the_group_refuses_offsets_of_a_member_it_has_given_up(flow: Flow) -> None:
    options = {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000}
    group = f"group-{uuid4().hex}"
    with open_source(flow.bootstrap, flow.inputs, group, **options) as slow:
        publisher = KafkaPublisher({"bootstrap.servers": flow.bootstrap}, slow, transactional_id=group)
        messages = read(slow, 3)
        with open_source(flow.bootstrap, flow.inputs, group) as other:
            # Only the other one polls, so the group takes the partition from the slow one.
            assert len(read(other, 3)) == 3

            with pytest.raises(PublishError):
                publisher.publish([OutputMessage(flow.outputs, None, b"1")], positions(messages))

    assert contents(flow.bootstrap, flow.outputs) == []


def test_many_outputs_overflow_the_queue_of_the_client_and_arrive_all_the_same(flow: Flow) -> None:
    publisher = KafkaPublisher(
        {"bootstrap.servers": flow.bootstrap, "queue.buffering.max.messages": 100},
        flow.source,
        transactional_id=flow.group,
    )

    publisher.publish([OutputMessage(flow.outputs, None, b"%d" % i) for i in range(1000)], [])

    assert contents(flow.bootstrap, flow.outputs) == [b"%d" % i for i in range(1000)]


def test_a_restarted_daemon_reads_on_where_the_outputs_end(flow: Flow) -> None:
    first = read(flow.source, 2)
    flow.publisher.publish([OutputMessage(flow.outputs, None, b"1")], positions(first))
    flow.source.close()

    with open_source(flow.bootstrap, flow.inputs, flow.group) as restarted:
        assert [message.value for message in read(restarted, 1)] == [b"c"]


def test_what_a_crash_left_open_is_aborted_by_the_next_start(flow: Flow) -> None:
    transactional_id = f"crashing-{uuid4().hex}"
    options = {"bootstrap.servers": flow.bootstrap, "transactional.id": transactional_id}
    crashed = Producer(options)
    crashed.init_transactions(10)
    crashed.begin_transaction()
    crashed.produce(flow.outputs, b"of the crash")
    crashed.flush(10)

    KafkaPublisher({"bootstrap.servers": flow.bootstrap}, flow.source, transactional_id=transactional_id)

    assert contents(flow.bootstrap, flow.outputs) == []
    assert contents(flow.bootstrap, flow.outputs, "read_uncommitted") == [b"of the crash"]


def test_offsets_that_a_crash_left_open_are_waited_for_with_the_reason(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_source, "REQUEST_TIMEOUT_SECONDS", 1.0)
    crashed = Producer({"bootstrap.servers": flow.bootstrap, "transactional.id": f"crashing-{uuid4().hex}"})
    crashed.init_transactions(30)
    crashed.begin_transaction()
    claim = flow.source.claim(positions(read(flow.source, 1)))
    crashed.send_offsets_to_transaction([TopicPartition(flow.inputs, 0, 1)], claim.member, 30)

    with pytest.raises(KafkaUnavailableError, match=r"still open.*transaction\.timeout\.ms.*kafka\.transactional_id"):
        flow.committed()

    crashed.abort_transaction(30)
    assert flow.committed() is None


def test_a_call_that_never_returns_is_given_up_and_comes_to_nothing_when_it_goes_on(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_publisher, "OFFSETS_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(kafka_publisher, "OFFSETS_GRACE_SECONDS", 0.1)
    messages = read(flow.source, 2)
    held_back, refused = Event(), Queue[KafkaError]()
    send_offsets = Producer.send_offsets_to_transaction

    class Stuck(Producer):
        def send_offsets_to_transaction(
            self, positions: list[TopicPartition], group_metadata: object, timeout: float | None = None
        ) -> None:
            held_back.wait()
            try:
                send_offsets(self, positions, group_metadata, 10.0)
            except KafkaException as exception:
                refused.put(cast("KafkaError", exception.args[0]))
                raise

    with monkeypatch.context() as patch:
        patch.setattr(kafka_publisher, "Producer", Stuck)
        publisher = flow.again()
    with pytest.raises(PublishError, match="sending offsets"):
        publisher.publish([OutputMessage(flow.outputs, None, b"given up")], positions(messages))
    monkeypatch.undo()
    publisher.publish([OutputMessage(flow.outputs, None, b"1")], positions(messages[:1]))
    held_back.set()

    assert refused.get(timeout=30.0).fatal()
    assert contents(flow.bootstrap, flow.outputs) == [b"1"]
    assert flow.committed() == 1
