"""Of three brokers each dies while the daemon works: it goes on with the other two, and nothing shows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.nights import Night, batches, more_than, unsent_night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.kafka_cluster import EmbeddedKafkaCluster, KafkaNode
from tests.services import ServiceUnavailableError, kafka_jars

pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[EmbeddedKafkaCluster]:
    try:
        jars = kafka_jars()
    except ServiceUnavailableError as error:
        pytest.skip(str(error))
    with EmbeddedKafkaCluster(jars) as running:
        yield running


def test_each_broker_is_killed_in_turn_and_so_is_whoever_leads(
    cluster: EmbeddedKafkaCluster, valkey_url: str, postgresql_database: str, expected: Outcome, tmp_path: Path
) -> None:
    """Every broker once; then the one that leads the input, that of the group, and that of the transactions."""
    night = unsent_night_on(
        cluster.bootstrap_servers, valkey_url, postgresql_database, tmp_path, replication_factor=3
    )
    victims: list[Callable[[], KafkaNode]] = [
        *(lambda node=node: node for node in cluster.nodes),
        lambda: cluster.leader_of(night.deployment.settings.kafka.input_topic, 0),
        lambda: cluster.leader_of("__consumer_offsets", 0),
        lambda: cluster.leader_of("__transaction_state", 0),
    ]
    share = -(-len(batches()) // len(victims))
    with night.life() as process:
        for number, victim in enumerate(victims):
            night.deployment.send(batches()[number * share : (number + 1) * share])
            die_at_work(night, cluster, victim)
        night.finish_life(process)
    assert_nothing_shows(night.outcome(), expected)


def die_at_work(night: Night, cluster: EmbeddedKafkaCluster, victim: Callable[[], KafkaNode]) -> None:
    """Kill a broker when a batch counts, and start it again when the others have taken all that was sent."""
    counted = night.n_counted()
    # The first may wait for a group and a producer that are new.
    night.deployment.wait_until(more_than(counted, night.n_counted), look_every_seconds=0.02)
    node = victim()
    assert night.n_counted() < night.deployment.sent, "nothing was under way"
    node.kill()
    night.deployment.wait_until(lambda: night.n_counted() == night.deployment.sent and night.n_in_outbox() == 0)
    cluster.start(node)
