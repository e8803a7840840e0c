"""Questions to the broker: what a group has committed, how far behind it is, how many partitions there are."""

from collections.abc import Collection, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_assoc.messaging.kafka.client import Options, common_options
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError, error_of, translate
from stream_assoc.messaging.kafka.gaps import no_offsets
from stream_assoc.messaging.marks import Partition, Standing

REQUEST_TIMEOUT_SECONDS: Final = 10.0
"""How long a question to the broker may take: committed offsets, ends of partitions."""


def committed_offsets(
    consumer: Consumer, partitions: Collection[Partition], purpose: str
) -> dict[Partition, Standing]:
    """Return what a consumer's group has committed of each partition; one without a commit is left out.

    Waits for transactions that are being committed, so the answer is final.

    Raises
    ------
    KafkaUnavailableError
        If no broker answers, or an open transaction holds the answer back.
    """
    if not partitions:
        return {}
    asked = [TopicPartition(topic, number) for topic, number in partitions]
    doing = f"asking for committed offsets while {purpose}"
    try:
        answers = consumer.committed(asked, timeout=REQUEST_TIMEOUT_SECONDS)
    except KafkaException as exception:
        raise no_offsets(consumer, asked, error_of(exception), doing) from exception
    for answer in answers:
        if answer.error is not None:
            raise translate(answer.error, doing)
    return {
        (answer.topic, answer.partition): Standing(answer.offset, answer.metadata or "")
        for answer in answers
        if answer.offset >= 0
    }


def lags_of(consumer: Consumer, owned: Sequence[Partition], purpose: str) -> dict[Partition, int]:
    """Return how many offsets each of these partitions is behind its end, as of its last fetch.

    Raises
    ------
    confluent_kafka.KafkaException
        If the client library refuses a question.
    """
    asked = [TopicPartition(*partition) for partition in owned]
    positions = {(one.topic, one.partition): one.offset for one in consumer.position(asked)}
    unread = [partition for partition, offset in positions.items() if offset < 0]
    committed = {place: one.offset for place, one in committed_offsets(consumer, unread, purpose).items()}
    lags: dict[Partition, int] = {}
    for one in asked:
        low, high = consumer.get_watermark_offsets(one, cached=True)
        partition = (one.topic, one.partition)
        if high >= 0:
            next_offset = positions[partition] if positions[partition] >= 0 else committed.get(partition, low)
            lags[partition] = max(0, high - max(low, next_offset, 0))
    return lags


def count_partitions(options: Options, topic: str) -> int:
    """Return how many partitions a topic has.

    Raises
    ------
    KafkaUnavailableError
        If no broker answers.
    KafkaConfigurationError
        If there is no such topic, or this client is refused.
    """
    try:
        counts = partition_counts(AdminClient(common_options(options)), [topic])
    except KafkaException as exception:
        raise translate(error_of(exception), f"asking for the partitions of {topic}") from exception
    if topic not in counts:
        raise KafkaConfigurationError(f"there is no topic {topic}; create it with `stream-assoc topics init`")
    return counts[topic]


def partition_counts(client: Consumer | AdminClient, topics: Sequence[str]) -> dict[str, int]:
    """Return how many partitions each topic has; topics that do not exist are left out."""
    answers = {name: client.list_topics(name, timeout=REQUEST_TIMEOUT_SECONDS).topics[name] for name in topics}
    return {name: len(found.partitions) for name, found in answers.items() if found.partitions}
