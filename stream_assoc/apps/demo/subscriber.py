"""A subscriber of all output topics."""

from typing import Final

from confluent_kafka import Consumer

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.dead_letters import DeadLetter, read_dead_letter
from stream_assoc.messaging.avro.subscriber import decode_metrics
from stream_assoc.messaging.kafka.errors import translate
from stream_assoc.messaging.kafka.options import consumer_options
from stream_assoc.settings.kafka import KafkaSettings

_MESSAGES: Final = 5000


class OutputsSubscriber:
    """Reads updated objects, forced sources, metrics and dead letters as any subscriber would.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers and topic names.

    Attributes
    ----------
    metrics : `list` [`AssociationMetrics`]
        One for each processed batch.
    dead_letters : `list` [`DeadLetter`]
        One for each message that could not be processed.
    n_objects, n_forced_sources : `int`
        Object versions and forced sources seen.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        options = consumer_options(kafka.consumer_options(), "demo-subscriber", None, kafka.max_message_bytes)
        self._consumer = Consumer(options)
        self._consumer.subscribe(
            [kafka.objects_topic, kafka.forced_sources_topic, kafka.metrics_topic, kafka.dead_letter_topic]
        )
        self.metrics: list[AssociationMetrics] = []
        self.dead_letters: list[DeadLetter] = []
        self.n_objects = 0
        self.n_forced_sources = 0

    def read(self, timeout_seconds: float) -> None:
        """Read all messages that have arrived; wait at most this long for the first."""
        first = self._consumer.poll(timeout_seconds)
        if first is None:
            return
        for message in (first, *self._consumer.consume(_MESSAGES, timeout=0)):
            if (error := message.error()) is not None:
                raise translate(error, "reading the output topics")
            topic, value = message.topic(), message.value()
            if topic == self._kafka.objects_topic:
                self.n_objects += 1
            elif topic == self._kafka.forced_sources_topic:
                self.n_forced_sources += 1
            elif topic == self._kafka.metrics_topic:
                self.metrics.append(decode_metrics(value))
            else:
                dead_letter = OutputMessage(
                    self._kafka.dead_letter_topic, message.key(), value, tuple(message.headers() or ())
                )
                self.dead_letters.append(read_dead_letter(dead_letter))

    @property
    def n_answers(self) -> int:
        """Batches answered, by metrics or by a dead letter."""
        return len(self.metrics) + len(self.dead_letters)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
