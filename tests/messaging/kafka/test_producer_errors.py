"""Errors that make a producer useless: the next publication has another one."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import cast
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.exceptions import PublishError, StreamError
from stream_assoc.messaging.kafka import publisher as kafka_publisher
from stream_assoc.messaging.kafka.errors import ProducerFencedError
from stream_assoc.messaging.kafka.ownership import Claim
from stream_assoc.messaging.kafka.publisher import KEPT_AFTER, KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.messaging.marks import Standing
from stream_assoc.tools.embedded.kafka import EmbeddedKafka
from tests import services
from tests.messaging.kafka_support import (
    committed,
    contents,
    fill,
    new_topic,
    open_source,
    positions,
    read,
    records,
    until,
)

STEPS = ("begin_transaction", "send_offsets_to_transaction", "commit_transaction")

ABORTABLE = (
    # Of the producer's id: what AddPartitionsToTxn, AddOffsetsToTxn, Produce and EndTxn are refused with.
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
    KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.CONCURRENT_TRANSACTIONS,
    KafkaError.OPERATION_NOT_ATTEMPTED,
    # Of the transaction: timeouts, a coordinator that went away, what the broker cannot write.
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._STATE,
    KafkaError._INCONSISTENT,
    KafkaError._GAPLESS_GUARANTEE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.UNKNOWN,
)
FATAL = (
    KafkaError._FATAL,
    KafkaError.INVALID_TXN_STATE,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError.DUPLICATE_SEQUENCE_NUMBER,
    KafkaError.UNKNOWN_PRODUCER_ID,
)


class Source:
    """Owns everything, and has committed nothing."""

    def claim(self, consumed: Sequence[object], *others: object, **more: object) -> Claim:
        return Claim({("in", 0): 1}, "member")

    def standings(self, partitions: object) -> dict[tuple[str, int], Standing]:
        return {}


class Refusing:
    """A producer whose broker refuses one step of every transaction."""

    made = 0
    step = ""
    error: KafkaError | None = None

    def __init__(self, options: object) -> None:
        Refusing.made += 1

    def __getattr__(self, name: str) -> object:
        def call(*arguments: object, **named: object) -> None:
            if name == Refusing.step and Refusing.error is not None:
                raise KafkaException(Refusing.error)

        return call


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> type[Refusing]:
    monkeypatch.setattr(kafka_publisher, "Producer", Refusing)
    monkeypatch.setattr(kafka_publisher, "COMMIT_TIMEOUT_SECONDS", 0.0)
    Refusing.made, Refusing.step, Refusing.error = 0, "", None
    return Refusing


def refused(refusing: type[Refusing], step: str, error: KafkaError) -> StreamError:
    publisher = KafkaPublisher({}, cast(KafkaSource, Source()), transactional_id="daemon")
    refusing.step, refusing.error = step, error
    with pytest.raises(StreamError) as caught:
        publisher.publish([], [])
    refusing.error = None
    with contextlib.suppress(PublishError):
        publisher.publish([], [])
    return caught.value


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", ABORTABLE)
def test_after_an_error_of_the_transaction_another_producer_goes_on(
    refusing: type[Refusing], step: str, code: int
) -> None:
    refused(refusing, step, KafkaError(code, "no", txn_requires_abort=True))
    assert refusing.made == 2


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", FATAL)
def test_after_a_fatal_error_of_the_client_another_producer_goes_on(
    refusing: type[Refusing], step: str, code: int
) -> None:
    error = refused(refusing, step, KafkaError(code, "no", fatal=True))
    assert not isinstance(error, FatalError)
    assert refusing.made == 2


@pytest.mark.parametrize("code", sorted(KEPT_AFTER))
def test_what_the_group_refuses_says_nothing_against_the_producer(refusing: type[Refusing], code: int) -> None:
    refused(refusing, "send_offsets_to_transaction", KafkaError(code, "no", txn_requires_abort=True))
    assert refusing.made == 1


class Loading(Refusing):
    """A producer whose broker does not know yet what was begun under which transactional id."""

    refusals = 2

    def init_transactions(self, timeout: float) -> None:
        if Loading.refusals:
            Loading.refusals -= 1
            raise KafkaException(KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, "loading", retriable=True))


def test_a_coordinator_that_is_loading_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_publisher, "Producer", Loading)
    monkeypatch.setattr(Loading, "refusals", 2)
    KafkaPublisher({}, cast(KafkaSource, Source()), transactional_id="daemon")
    assert Loading.refusals == 0


def test_a_coordinator_that_is_loading_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_publisher, "Producer", Loading)
    monkeypatch.setattr(kafka_publisher, "INIT_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(Loading, "refusals", 1000)
    with pytest.raises(StreamError, match="loading"):
        KafkaPublisher({}, cast(KafkaSource, Source()), transactional_id="daemon")


@pytest.mark.parametrize("code", [KafkaError._FENCED, KafkaError.PRODUCER_FENCED])
def test_who_is_fenced_by_another_daemon_stops(refusing: type[Refusing], code: int) -> None:
    error = refused(refusing, "commit_transaction", KafkaError(code, "no", fatal=True))
    assert isinstance(error, ProducerFencedError)


@pytest.fixture(scope="module")
def forgetful() -> Iterator[EmbeddedKafka]:
    """A broker that forgets at once whom it has not heard of for some time."""
    housekeeping = {
        "transactional.id.expiration.ms": "2000",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
    }
    with EmbeddedKafka(services.kafka_jars(), housekeeping) as running:
        yield running


def has_forgotten(bootstrap: str, transactional_id: str) -> bool:
    """Tell whether the broker has deleted what it knew of a transactional id: the newest record of it is empty."""
    newest = {message.key(): message.value() for message in records(bootstrap, "__transaction_state")}
    return [value for key, value in newest.items() if key is not None and transactional_id.encode() in key] == [None]


def end_of(bootstrap: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "looks-on"})
    _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.close()
    return int(high)


@pytest.mark.integration
def test_a_transactional_id_that_expired_is_taken_over_anew(forgetful: EmbeddedKafka) -> None:
    bootstrap = forgetful.bootstrap_servers
    inputs, outputs = new_topic(bootstrap), new_topic(bootstrap)
    group = f"group-{uuid4().hex}"
    fill(bootstrap, inputs, [b"a", b"b"])
    with open_source(bootstrap, inputs, group) as source:
        publisher = KafkaPublisher({"bootstrap.servers": bootstrap}, source, transactional_id=group)
        first, second = read(source, 2)
        publisher.publish([OutputMessage(outputs, None, b"1")], positions([first]))
        until(lambda: has_forgotten(bootstrap, group))

        with pytest.raises(PublishError, match="INVALID_PRODUCER_ID_MAPPING"):
            publisher.publish([OutputMessage(outputs, None, b"2")], positions([second]))
        publisher.publish([OutputMessage(outputs, None, b"2")], positions([second]))

        assert committed(source, [(inputs, 0)]) == {(inputs, 0): 2}
    assert contents(bootstrap, outputs) == [b"1", b"2"]


@pytest.mark.integration
def test_a_daemon_frozen_within_a_transaction_is_not_taken_for_two(
    forgetful: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker ends a transaction that is open for too long, and fences off its producer."""
    bootstrap = forgetful.bootstrap_servers
    inputs, outputs = new_topic(bootstrap), new_topic(bootstrap)
    group = f"group-{uuid4().hex}"
    fill(bootstrap, inputs, [b"a"])
    with open_source(bootstrap, inputs, group) as source:
        options: dict[str, str | bool | int | float] = {
            "bootstrap.servers": bootstrap,
            "transaction.timeout.ms": 1000,
            "socket.timeout.ms": 1000,
        }
        publisher = KafkaPublisher(options, source, transactional_id=group)
        messages = read(source, 1)
        with monkeypatch.context() as frozen:
            # Until the output is followed by the mark of its abort.
            frozen.setattr(kafka_publisher, "failpoint", lambda name: until(lambda: end_of(bootstrap, outputs) == 2))
            with pytest.raises(PublishError, match=r"transaction\.timeout\.ms"):
                publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))
        publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))
        assert committed(source, [(inputs, 0)]) == {(inputs, 0): 1}
    assert contents(bootstrap, outputs) == [b"1"]
