"""The producer of replays, on a real broker and on the mock."""

from uuid import uuid4

import pytest

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.kafka.errors import DeliveryError, KafkaConfigurationError, OutputTooLargeError
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.tools.embedded.kafka import MockKafka
from tests.messaging.kafka_support import contents, new_topic


@pytest.mark.integration
def test_every_message_is_written_in_order(kafka_bootstrap: str) -> None:
    topic = new_topic(kafka_bootstrap)
    producer = PlainProducer({"bootstrap.servers": kafka_bootstrap, "queue.buffering.max.messages": 100})
    values = [b"%d" % i for i in range(1000)]

    producer.send(OutputMessage(topic, None, value) for value in values)
    producer.flush()

    assert contents(kafka_bootstrap, topic) == values


@pytest.mark.integration
def test_a_message_too_large_is_refused_at_once(kafka_bootstrap: str) -> None:
    producer = PlainProducer({"bootstrap.servers": kafka_bootstrap}, max_message_bytes=2**20)

    with pytest.raises(OutputTooLargeError, match="sending to any"):
        producer.send([OutputMessage("any", None, bytes(2**22))])


@pytest.mark.integration
def test_a_missing_topic_is_told_at_the_flush(kafka_bootstrap: str) -> None:
    producer = PlainProducer({"bootstrap.servers": kafka_bootstrap, "topic.metadata.propagation.max.ms": 100})
    producer.send([OutputMessage(f"absent-{uuid4().hex}", None, b"1")])

    with pytest.raises(KafkaConfigurationError, match="topics init"):
        producer.flush()


def test_unconfirmed_messages_are_listed_and_forgotten() -> None:
    options = {"delivery.timeout.ms": 300, "linger.ms": 0, "socket.timeout.ms": 200}
    messages = [OutputMessage("t", None, b"1"), OutputMessage("t", None, b"2")]
    with MockKafka() as kafka:
        bootstrap = kafka.bootstrap_servers
    producer = PlainProducer({"bootstrap.servers": bootstrap, **options})
    producer.send(messages)

    with pytest.raises(DeliveryError) as caught:
        producer.flush()

    assert caught.value.failed == tuple(messages)
    producer.flush()
