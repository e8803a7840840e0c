"""A broker that goes away and comes back."""

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, Producer

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.exceptions import PublishError
from stream_assoc.messaging.kafka import publisher as kafka_publisher
from stream_assoc.messaging.kafka import source as kafka_source
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError, PublishInDoubtError
from stream_assoc.messaging.kafka.ownership import Claim
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.tools.embedded.kafka import EmbeddedKafka
from tests import services
from tests.messaging.kafka_support import committed, contents, fill, new_topic, open_source, positions, read

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    try:
        jars = services.kafka_jars()
    except services.ServiceUnavailableError as error:
        pytest.skip(str(error))
    with EmbeddedKafka(jars) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_source, "REQUEST_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(kafka_publisher, "COMMIT_TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr(kafka_publisher, "OFFSETS_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(kafka_publisher, "OFFSETS_GRACE_SECONDS", 1.0)
    monkeypatch.setattr(kafka_publisher, "ABORT_TIMEOUT_SECONDS", 1.0)


def test_an_outage_is_retriable_and_nothing_is_lost_or_doubled(broker: EmbeddedKafka) -> None:
    bootstrap = broker.bootstrap_servers
    inputs, outputs = new_topic(bootstrap), new_topic(bootstrap)
    group = f"group-{uuid4().hex}"
    fill(bootstrap, inputs, [b"a", b"b"])
    with open_source(bootstrap, inputs, group) as source:
        publisher = KafkaPublisher(
            {"bootstrap.servers": bootstrap, "socket.timeout.ms": 3000}, source, transactional_id=group
        )
        messages = read(source, 2)

        broker.stop()
        with pytest.raises(PublishError):
            publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))
        with pytest.raises(KafkaUnavailableError):
            committed(source, [(inputs, 0)])
        assert source.poll(1, 0.2) == []

        broker.start()
        publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))
        assert contents(bootstrap, outputs) == [b"1"]
        assert committed(source, [(inputs, 0)]) == {(inputs, 0): 2}
        publisher.close()


def test_a_commit_that_never_reached_the_broker_is_made_again(
    broker: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap = broker.bootstrap_servers
    inputs, outputs = new_topic(bootstrap), new_topic(bootstrap)
    group = f"group-{uuid4().hex}"
    fill(bootstrap, inputs, [b"a"])
    with open_source(bootstrap, inputs, group) as source:
        publisher = KafkaPublisher(
            {"bootstrap.servers": bootstrap, "socket.timeout.ms": 3000}, source, transactional_id=group
        )
        messages = read(source, 1)
        send = publisher._send

        def send_and_lose_the_broker(producer: Producer, outgoing: Sequence[OutputMessage], claim: Claim) -> None:
            send(producer, outgoing, claim)
            broker.stop()

        with monkeypatch.context() as patch:
            patch.setattr(publisher, "_send", send_and_lose_the_broker)
            with pytest.raises(PublishInDoubtError):
                publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))

        broker.start()
        publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))
        assert contents(bootstrap, outputs) == [b"1"]
        assert committed(source, [(inputs, 0)]) == {(inputs, 0): 1}
        publisher.close()


def test_a_commit_whose_answer_was_lost_is_not_made_twice(
    broker: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap = broker.bootstrap_servers
    inputs, outputs = new_topic(bootstrap), new_topic(bootstrap)
    group = f"group-{uuid4().hex}"
    fill(bootstrap, inputs, [b"a"])
    with open_source(bootstrap, inputs, group) as source:
        publisher = KafkaPublisher(
            {"bootstrap.servers": bootstrap, "socket.timeout.ms": 3000}, source, transactional_id=group
        )
        messages = read(source, 1)

        def commit_without_an_answer(producer: Producer) -> None:
            producer.commit_transaction(10)
            raise publisher._doubtful(KafkaError(KafkaError._TIMED_OUT))

        with monkeypatch.context() as patch:
            patch.setattr(publisher, "_commit", commit_without_an_answer)
            with pytest.raises(PublishInDoubtError):
                publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))

        publisher.publish([OutputMessage(outputs, None, b"1")], positions(messages))
        assert contents(bootstrap, outputs) == [b"1"]
        publisher.close()
