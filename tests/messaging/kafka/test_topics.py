"""Creating and comparing topics, on a real broker."""

from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from stream_assoc.messaging.kafka import topics as kafka_topics
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError, KafkaUnavailableError
from stream_assoc.messaging.kafka.offsets import count_partitions
from stream_assoc.messaging.kafka.topics import (
    DEAD_LETTER_RETENTION_MS,
    ensure_topics,
    topic_differences,
    topic_losses,
    topic_specs,
)
from stream_assoc.tools.embedded.kafka import EmbeddedKafka
from tests import services
from tests.messaging.kafka_support import until
from tests.topics import make_topics, new_topic

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Settings:
    bootstrap: str
    prefix: str = field(default_factory=lambda: f"test-{uuid4().hex}-")
    partitions: int = 3
    replication_factor: int = 1
    max_message_bytes: int = 64 * 2**20
    effective_min_insync_replicas: int = 1

    @property
    def input_topic(self) -> str:
        return self.prefix + "dia-sources"

    @property
    def objects_topic(self) -> str:
        return self.prefix + "dia-objects"

    @property
    def forced_sources_topic(self) -> str:
        return self.prefix + "dia-forced-sources"

    @property
    def metrics_topic(self) -> str:
        return self.prefix + "association-metrics"

    @property
    def dead_letter_topic(self) -> str:
        return self.prefix + "dia-sources.dlq"

    @property
    def alerts_topic(self) -> str:
        return self.prefix + "alerts"

    @property
    def next_visits_topic(self) -> str:
        return self.prefix + "next-visits"

    def client_options(self) -> dict[str, str | bool | int | float]:
        return {"bootstrap.servers": self.bootstrap, "socket.timeout.ms": 3000}


@pytest.fixture
def settings(kafka_bootstrap: str) -> Settings:
    return Settings(kafka_bootstrap)


def config_of(settings: Settings, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient(settings.client_options())
    return {name: entry.value for name, entry in admin.describe_configs([resource])[resource].result().items()}


def test_missing_topics_are_created_and_those_that_exist_are_left(settings: Settings) -> None:
    names = [
        settings.input_topic,
        settings.objects_topic,
        settings.forced_sources_topic,
        settings.metrics_topic,
        settings.dead_letter_topic,
        settings.next_visits_topic,
        settings.alerts_topic,
    ]

    assert ensure_topics(settings) == names
    assert ensure_topics(settings) == []
    assert topic_differences(settings) == []
    assert topic_losses(settings) == []


def test_objects_are_compacted_and_inputs_may_be_large(settings: Settings) -> None:
    ensure_topics(settings)

    assert config_of(settings, settings.objects_topic)["cleanup.policy"] == "compact"
    assert int(config_of(settings, settings.input_topic)["max.message.bytes"]) == settings.max_message_bytes


def test_a_dead_letter_has_room_for_the_largest_input_and_its_headers(settings: Settings) -> None:
    ensure_topics(settings)
    config = config_of(settings, settings.dead_letter_topic)

    assert int(config["max.message.bytes"]) > settings.max_message_bytes
    assert int(config["retention.ms"]) == DEAD_LETTER_RETENTION_MS


def test_differences_are_told(settings: Settings) -> None:
    missing = topic_differences(settings)
    ensure_topics(settings)
    wanted = Settings(settings.bootstrap, settings.prefix, partitions=4, max_message_bytes=2**20)

    assert missing[0] == f"{settings.input_topic}: does not exist"
    assert topic_differences(wanted)[:2] == [
        f"{settings.input_topic}: 3 partitions, not 4",
        f"{settings.input_topic}: max.message.bytes is {64 * 2**20}, not {2**20}",
    ]


def test_topics_that_would_lose_messages_are_told(settings: Settings) -> None:
    make_topics(settings.bootstrap, [settings.input_topic], retention_ms="3600000", cleanup_policy="compact,delete")
    make_topics(settings.bootstrap, [settings.metrics_topic], message_timestamp_before_max_ms="1000")
    make_topics(settings.bootstrap, [settings.objects_topic], cleanup_policy="delete", retention_bytes="1000")

    make_topics(settings.bootstrap, [settings.dead_letter_topic], message_timestamp_type="LogAppendTime")

    told = topic_losses(settings)

    assert [line.removeprefix(settings.prefix) for line in told] == [
        "dia-sources: keeps only the newest message of a key, read or not; set cleanup.policy=delete",
        "dia-sources: deletes a replayed night at once, by the times that its messages carry; "
        "set message.timestamp.type=LogAppendTime",
        "dia-sources: keeps messages for 1 h, read or not; set retention.ms to 86400000 or more",
        "dia-objects: deletes objects that have not changed for some time; set cleanup.policy=compact",
        "association-metrics: refuses messages with the times of an old night; "
        "set message.timestamp.type=LogAppendTime",
        f"dia-sources.dlq: has no room for the largest dead letter; set max.message.bytes={65 * 2**20}",
    ]


def test_a_night_of_years_ago_stays_in_the_topics_of_a_daemon() -> None:
    """On a broker that deletes what is older than Kafka's default of a week, and looks all the time."""
    housekeeping = {
        "log.retention.ms": str(7 * 24 * 3600 * 1000),
        "log.retention.check.interval.ms": "100",
        "log.initial.task.delay.ms": "100",
    }
    with EmbeddedKafka(services.kafka_jars(), housekeeping) as broker:
        settings = Settings(broker.bootstrap_servers, partitions=1)
        ensure_topics(settings)
        names = [spec.name for spec in topic_specs(settings)]
        witness = new_topic(broker.bootstrap_servers, retention_ms="604800000")
        for name in (*names, witness):
            # Without a transaction, whose mark would carry today's time.
            producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
            producer.produce(name, b"a night's", b"key", timestamp=1_600_000_000_000)
            assert producer.flush(30) == 0

        until(lambda: oldest_offset(broker.bootstrap_servers, witness) > 0)

        assert {name: oldest_offset(broker.bootstrap_servers, name) for name in names} == dict.fromkeys(names, 0)


def oldest_offset(bootstrap: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "looks-on"})
    low, _ = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.close()
    return int(low)


def test_more_replicas_than_brokers_are_refused(settings: Settings) -> None:
    with pytest.raises(KafkaConfigurationError, match=r"kafka\.replication_factor"):
        ensure_topics(Settings(settings.bootstrap, replication_factor=30))


def test_no_broker_is_retriable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_topics, "REQUEST_TIMEOUT_SECONDS", 1.0)
    with pytest.raises(KafkaUnavailableError):
        ensure_topics(Settings("127.0.0.1:1"))


def test_partitions_of_one_topic_are_counted(settings: Settings) -> None:
    ensure_topics(settings)
    assert count_partitions(settings.client_options(), settings.alerts_topic) == settings.partitions
    with pytest.raises(KafkaConfigurationError, match="there is no topic none-such; create it"):
        count_partitions(settings.client_options(), "none-such")
