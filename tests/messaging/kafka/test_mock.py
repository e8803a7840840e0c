"""Source and publisher on librdkafka's mock cluster, as the demo runs them."""

from uuid import uuid4

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.tools.embedded.kafka import MockKafka
from tests.messaging.kafka_support import fill, open_source, positions, read


def test_messages_go_around() -> None:
    group = f"group-{uuid4().hex}"
    with MockKafka() as kafka:
        bootstrap = kafka.bootstrap_servers
        fill(bootstrap, "in", [b"1", b"2", b"3"])
        with open_source(bootstrap, "in", group, **kafka.consumer_settings) as source:
            publisher = KafkaPublisher({"bootstrap.servers": bootstrap}, source, transactional_id=group)
            messages = read(source, 3)
            publisher.publish(
                [OutputMessage("out", None, message.value) for message in messages], positions(messages)
            )
            publisher.close()

        with open_source(bootstrap, "out", f"{group}-reader", **kafka.consumer_settings) as subscriber:
            assert sorted(message.value or b"" for message in read(subscriber, 3)) == [b"1", b"2", b"3"]
