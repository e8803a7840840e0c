"""What of the outbox subscribers have already, read from the output topics themselves; and who reads a topic."""

from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.kafka.client import common_options, consumer_options
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError, error_of, translate
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.messaging.marks import Partition
from stream_assoc.settings.kafka import KafkaSettings

REQUEST_TIMEOUT_SECONDS: Final = 10.0

READ_SECONDS: Final = 1.0


class KafkaOutputs:
    """Looks through output topics for messages that may have been published.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers, security and further librdkafka options.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    def published(self, messages: Collection[OutputMessage]) -> frozenset[OutputMessage]:
        """Return those of these messages that a read_committed subscriber finds, with the very same bytes.

        The topics are read from their oldest message: some seconds for a
        night's metrics. A message that retention has taken is not found.

        Raises
        ------
        KafkaUnavailableError
            If no broker answers, or a transaction that was open before is open
            still. Asking again is safe.
        """
        by_topic: dict[str, dict[tuple[bytes | None, bytes | None], OutputMessage]] = {}
        for message in messages:
            by_topic.setdefault(message.topic, {})[message.key, message.value] = message
        found: set[OutputMessage] = set()
        for topic, wanted in by_topic.items():
            found |= self._found(topic, wanted)
        return frozenset(found)

    def is_read(self, group: str, partition: Partition) -> bool:
        """Tell whether a member of the group has this partition assigned.

        Raises
        ------
        StreamError
            If Kafka does not tell.
        """
        try:
            client = AdminClient(common_options(self._kafka.client_options()))
            asked = client.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_SECONDS)
            # The stubs give the future the type of the whole answer.
            description: Any = asked[group].result()
        except KafkaException as exception:
            raise translate(error_of(exception), f"asking who is in group {group}") from exception
        assigned = [one for member in description.members for one in member.assignment.topic_partitions]
        return any((one.topic, one.partition) == partition for one in assigned)

    def _found(
        self, topic: str, wanted: Mapping[tuple[bytes | None, bytes | None], OutputMessage]
    ) -> set[OutputMessage]:
        found: set[OutputMessage] = set()
        # In this order: what was written before the question is committed or aborted when the reading begins.
        ends = self._ends(topic, "read_uncommitted")
        stable = self._ends(topic, "read_committed")
        if any(stable[partition] < end for partition, end in ends.items()):
            raise KafkaUnavailableError(f"a transaction to {topic} is still open; looking again")
        with TopicReader(self._kafka, Reading(topic, start="beginning", until_end=True)) as reader:
            while not reader.at_end:
                for message in reader.read(READ_SECONDS):
                    if (message.key, message.value) in wanted:
                        found.add(wanted[message.key, message.value])
        return found

    def _ends(self, topic: str, isolation: str) -> dict[int, int]:
        kafka = self._kafka
        options = consumer_options(kafka.consumer_options(), "stream-assoc", None, kafka.max_message_bytes)
        try:
            with closing(Consumer({**options, "isolation.level": isolation})) as consumer:
                known = consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_SECONDS).topics[topic]
                return {
                    number: consumer.get_watermark_offsets(
                        TopicPartition(topic, number), timeout=REQUEST_TIMEOUT_SECONDS
                    )[1]
                    for number in known.partitions
                }
        except KafkaException as exception:
            raise translate(error_of(exception), f"asking where {topic} ends") from exception
