"""From one daemon to six and back under load: what one daemon does, and no change moves more than it must."""

import itertools
from pathlib import Path
from typing import Final

import pytest

from stream_assoc.core.model.batch import Batch
from tests.chaos.fleet import CAMERA, Fleet, deploy_for_a_fleet
from tests.chaos.serial import NOTHING, judge
from tests.pipeline.focal_plane import visits

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

SIZES: Final = (6, 1)
N_CHANGES: Final = 10
"""Daemons that come and daemons that go."""

VISITS_AT_ONCE: Final = 3

STATIC: Final = {
    "leave_group_on_stop": True,
    # Nobody is taken for gone who has not said so.
    "librdkafka_consumer": {
        "session.timeout.ms": 1_800_000,
        "max.poll.interval.ms": 1_800_000,
        "heartbeat.interval.ms": 500,
    },
}
"""As the Kubernetes manifests run them."""


def test_from_one_daemon_to_six_and_back(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path
) -> None:
    deployment = deploy_for_a_fleet(kafka_bootstrap, valkey_url, postgresql_database, kafka=STATIC)
    fleet = Fleet(deployment, tmp_path)
    sent: list[Batch] = []
    sky = visits(CAMERA, VISITS_AT_ONCE * (len(SIZES) + 1))

    def send() -> None:
        some = [one for visit in itertools.islice(sky, VISITS_AT_ONCE) for one in visit]
        deployment.send_into([(one.id.detector, one) for one in some])
        sent.extend(some)

    with fleet.running(1):
        send()
        for n_daemons in SIZES:
            fleet.await_counted(len(sent) - len(CAMERA.detectors))
            send()
            # While all of these wait, or are in hand.
            fleet.scale_to(n_daemons)
        fleet.await_everything()
    assert judge(deployment, sent, tmp_path) == NOTHING
    # By the daemon that was there all the time: two for a change, one to take partitions away and one to give them.
    n_rebalances = max(fleet.counts("stream_assoc_rebalances_total"))
    n_revoked = sum(fleet.counts("stream_assoc_released_partitions_total", how="revoked"))
    print(f"{n_rebalances:.0f} rebalances, {n_revoked:.0f} partitions revoked")
    assert n_rebalances <= 2 * N_CHANGES
    # No more than so many moves for a change, and the last daemon gives all back.
    assert n_revoked <= 2 * N_CHANGES + len(CAMERA.detectors)
    assert sum(fleet.counts("stream_assoc_released_partitions_total", how="lost")) == 0
