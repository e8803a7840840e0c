"""The cache on a cluster whose slots are moved and whose nodes are killed while the daemon works."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.nights import SECTIONS, Night, batches, more_than
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.integration.deployment import deploy
from tests.valkey_cluster import N_PRIMARIES, ValkeyCluster

pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.slow]

BATCHES_AT_ONCE: Final = 8


def move_slots(cluster: ValkeyCluster) -> None:
    """Move all that the second node has of some slots to the third, and the keys one by one."""
    held = [slot for slot in range(6000, 10000) if cluster.ask(1, "CLUSTER", "COUNTKEYSINSLOT", slot)]
    assert held, "the night has nothing on that node"
    for slot in held[::2]:
        cluster.move(slot, 1, 2)


def lose_and_revive(cluster: ValkeyCluster) -> None:
    """Kill a primary for good enough that its replica takes over; it comes back empty, as its replica."""
    cluster.fail_over(0)
    cluster.start(0)
    cluster.wait_until_whole()


def lose_both(cluster: ValkeyCluster) -> None:
    """Kill a primary and its replica, so that the cluster is down; both come back, with nothing of what they had."""
    cluster.kill(2 + N_PRIMARIES)
    cluster.kill(2)
    cluster.start(2)
    cluster.start(2 + N_PRIMARIES)
    cluster.wait_until_whole()


DISTURBANCES: Final[tuple[Callable[[ValkeyCluster], None], ...]] = (move_slots, lose_and_revive, lose_both)


def test_slots_move_and_nodes_die_while_the_daemon_works(
    kafka_bootstrap: str, tmp_path: Path, expected: Outcome
) -> None:
    sections = {name: dict(section) for name, section in SECTIONS.items()}
    with ValkeyCluster() as cluster:
        url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
        night = Night(deploy(kafka_bootstrap, cluster.url, url, redis={"cluster": True}, **sections), tmp_path)
        waiting = list(batches())
        with night.life() as process:
            for disturb in DISTURBANCES:
                night.deployment.send(waiting[:BATCHES_AT_ONCE])
                del waiting[:BATCHES_AT_ONCE]
                night.deployment.wait_until(more_than(night.n_counted(), night.n_counted))
                disturb(cluster)
                night.deployment.wait_until(lambda: night.n_counted() == night.deployment.sent)
            night.deployment.send(waiting)
            night.finish_life(process)
        assert_nothing_shows(night.outcome(), expected)
        assert night.n_failures() > 0, "nobody has noticed that a part of the cluster was away"
