"""Daemons and the nodes of a ring of Cassandra are killed in turn: the batches count as if one daemon had done them.

The number of disturbances is in the environment: STREAM_ASSOC_TEST_RING_DISTURBANCES (``make test-ring``).
"""

import contextlib
import functools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.tools.embedded.kafka import EmbeddedKafka
from stream_assoc.tools.inspection.sampling import Sampling
from tests.cassandra.ring import Ring
from tests.chaos.fleet import CAMERA, Fleet, deploy_for_a_fleet
from tests.chaos.outcome import empty_cache
from tests.chaos.serial import NOTHING, judge
from tests.pipeline.focal_plane import visits
from tests.tools.inspection.skies import inspected

pytestmark = [pytest.mark.integration, pytest.mark.ring]

N_DISTURBANCES: Final = int(os.environ.get("STREAM_ASSOC_TEST_RING_DISTURBANCES", "15"))
"""Of daemons. A node is away during every fifth, the cache is emptied before every tenth, the broker crashes once."""

N_DAEMONS: Final = 3
VISITS_AT_ONCE: Final = 2
"""So much is sent for each disturbance: something into each partition."""

TELLTALES: Final = {
    "fenced": "which has aborted its group",
    "conflicts": "another session stored visit",
    "retries": '"event": "retrying"',
    "without Cassandra": "Cassandra does not answer",
    "unknown outcomes": "a conditional write got no answer",
    "waits in vain": "another session holds some of the cells",
}
"""What daemons' logs say of what they have met."""


def test_daemons_and_nodes_are_killed_in_turn(
    broker: EmbeddedKafka, valkey_url: str, cassandra_ring: Ring, tmp_path: Path
) -> None:
    keyspace = f"ring_{uuid4().hex}"
    url = f"cassandra://{','.join(cassandra_ring.addresses)}/{keyspace}"
    deployment = deploy_for_a_fleet(broker.bootstrap_servers, valkey_url, url)
    fleet = Fleet(deployment, tmp_path)
    nights = visits(CAMERA, VISITS_AT_ONCE * (N_DISTURBANCES + 1))
    random = np.random.default_rng(17)
    sent: list[Batch] = []
    done = Counter[str]()
    start = time.monotonic()
    send = functools.partial(send_some, fleet, nights, sent)
    with fleet.running(N_DAEMONS):
        for number in range(1, N_DISTURBANCES + 1):
            if number % 10 == 0:
                done["cache emptied"] += empty_cache(deployment) > 0
            if number == N_DISTURBANCES // 2:
                crash(broker)
                done["broker killed"] += 1
            disturb = kill if random.random() < 0.5 else Fleet.freeze_before_a_commit
            done[disturb.__name__] += 1
            daemon, node = int(random.integers(N_DAEMONS)), int(random.integers(3))
            with without_a_node(cassandra_ring, node, keyspace) if number % 5 == 0 else contextlib.nullcontext():
                disturb(fleet, daemon, send)
            done["node killed"] += number % 5 == 0
            print(f"{time.monotonic() - start:.0f} s, {len(sent)} batches, {dict(done)}", flush=True)
        send()
        fleet.await_everything()
        seconds = time.monotonic() - start
    met = {name: fleet.logs().count(telltale) for name, telltale in TELLTALES.items()}
    print(f"{seconds:.0f} s, {len(sent)} batches, {dict(done)}, {met}", flush=True)
    assert judge(deployment, sent, tmp_path) == NOTHING
    assert inspected(url, Sampling(None), deployment.settings) == []


def send_some(fleet: Fleet, nights: Iterator[tuple[Batch, ...]], sent: list[Batch]) -> None:
    """Send some visits."""
    for _ in range(VISITS_AT_ONCE):
        visit = next(nights)
        fleet.deployment.send_into([(one.id.detector, one) for one in visit])
        sent += visit


def kill(fleet: Fleet, number: int, send: Callable[[], None]) -> None:
    """Kill a daemon once something of what is sent now has been published."""
    before = fleet.deployment.n_committed()
    send()
    fleet.await_condition(lambda: fleet.deployment.n_committed() > before)
    fleet.kill(number)


def crash(broker: EmbeddedKafka) -> None:
    broker.kill()
    broker.start()


@contextlib.contextmanager
def without_a_node(ring: Ring, number: int, keyspace: str) -> Iterator[None]:
    """Kill a node, and start it again at the end; return when the ring is whole."""
    ring.kill(number)
    try:
        yield
    finally:
        ring.start(number)
    ring.wait_until_reached(f"{keyspace}.metadata")
