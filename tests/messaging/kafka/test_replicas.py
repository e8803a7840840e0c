"""On three brokers: topics that would lose what was acknowledged are told; those of a daemon are none of them."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream_assoc.messaging.kafka.topics import ensure_topics, topic_differences, topic_losses
from stream_assoc.settings.kafka import KafkaSettings
from tests import services
from tests.kafka_cluster import EmbeddedKafkaCluster
from tests.messaging.kafka_support import until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedKafkaCluster]:
    """Three brokers that are careless where a topic does not forbid it."""
    try:
        jars = services.kafka_jars()
    except services.ServiceUnavailableError as error:
        pytest.skip(str(error))
    careless = {"min.insync.replicas": "1", "offsets.topic.replication.factor": "1"}
    with EmbeddedKafkaCluster(jars, settings=careless) as running:
        yield running


def settings_of(cluster: EmbeddedKafkaCluster, prefix: str, **further: int) -> KafkaSettings:
    names = ("input", "objects", "forced_sources", "metrics", "dead_letter", "next_visits", "alerts")
    topics = {f"{name}_topic": f"{prefix}-{name}" for name in names}
    return KafkaSettings.model_validate(
        {"bootstrap_servers": cluster.bootstrap_servers, "partitions": 2, **topics, **further}
    )


def test_topics_of_three_replicas_survive_any_broker(cluster: EmbeddedKafkaCluster) -> None:
    settings = settings_of(cluster, "safe", replication_factor=3)

    assert len(ensure_topics(settings)) == 7

    assert topic_differences(settings) == []
    assert topic_losses(settings) == []


def test_what_three_brokers_would_lose_is_told(cluster: EmbeddedKafkaCluster) -> None:
    settings = settings_of(cluster, "careless", replication_factor=3)
    make(cluster, settings.input_topic, 3)
    make(cluster, settings.objects_topic, 3, min_insync="2", unclean="true", cleanup="compact")
    make(cluster, settings.forced_sources_topic, 1, min_insync="2")
    make(cluster, settings.metrics_topic, 2, min_insync="2")

    told = topic_losses(settings)

    assert [line for line in told if line.startswith("careless-")] == [
        "careless-input: acknowledges what only one of its 3 replicas has, and loses it with that broker; "
        "set min.insync.replicas=2",
        "careless-objects: lets a broker lead that has missed messages, and drops them; "
        "set unclean.leader.election.enable=false",
        "careless-forced_sources: keeps 1 of the 3 replicas of kafka.replication_factor; add some with "
        "kafka-reassign-partitions",
        "careless-forced_sources: takes no message: min.insync.replicas is 2 of 1 replica(s); set it to 1",
        "careless-metrics: keeps 2 of the 3 replicas of kafka.replication_factor; add some with "
        "kafka-reassign-partitions",
    ]


def test_offsets_on_one_broker_and_more_replicas_than_brokers_are_told(cluster: EmbeddedKafkaCluster) -> None:
    settings = settings_of(cluster, "few", replication_factor=4)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    make(cluster, "__consumer_offsets", 1)
    until(lambda: "__consumer_offsets" in admin.list_topics(timeout=10).topics)

    assert topic_losses(settings) == [
        "kafka.replication_factor is 4, and 3 broker(s) are up: `topics init` cannot create topics; "
        "start the others, or lower it",
        "__consumer_offsets: what the group has read is on one broker of 3, and daemons stand still while it is "
        "away; move it to more with kafka-reassign-partitions",
    ]


def make(
    cluster: EmbeddedKafkaCluster,
    name: str,
    replicas: int,
    min_insync: str = "1",
    unclean: str = "false",
    cleanup: str = "delete",
) -> None:
    config = {
        "min.insync.replicas": min_insync,
        "unclean.leader.election.enable": unclean,
        "cleanup.policy": cleanup,
        "message.timestamp.type": "LogAppendTime",
    }
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, replicas, config=config)])[name].result(30)
