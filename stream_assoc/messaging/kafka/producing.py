"""What the transactional and the plain producer have in common."""

from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from stream_assoc.core.model.messages import OutputMessage

QUEUE_WAIT_SECONDS: Final = 0.1
"""How long to let librdkafka send when its queue is full, before the next try."""

DeliveryReport = Callable[[KafkaError | None, Message], None]


def enqueue(producer: Producer, message: OutputMessage, report: DeliveryReport) -> None:
    """Hand a message to librdkafka, waiting while its queue is full.

    The wait ends: messages that cannot be sent leave the queue at their timeout.

    Raises
    ------
    confluent_kafka.KafkaException
        If librdkafka refuses the message at once: too large, or the client is broken.
    """
    while True:
        try:
            producer.produce(
                message.topic,
                value=message.value,
                key=message.key,
                headers=list(message.headers) or None,
                on_delivery=report,
            )
        except BufferError:
            producer.poll(QUEUE_WAIT_SECONDS)
        else:
            return
