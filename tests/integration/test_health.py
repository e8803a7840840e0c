"""A loop that is stuck is told from one that waits, on real servers."""

import threading
from collections.abc import Callable

import psycopg
import pytest

from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.instruments import Instruments
from stream_assoc.wiring.daemon import run_daemon
from tests.integration.deployment import DEADLINE_SECONDS, Deployment
from tests.pipeline.skies import night

pytestmark = pytest.mark.integration

LONG_SECONDS = 1000.0


class Clock:
    """Goes on when it is told to, so that nothing here depends on how busy the machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def is_waiting_for_a_lock(connection: psycopg.Connection) -> bool:
    waiting = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return waiting.fetchone() != (0,)


def test_a_loop_that_is_stuck_in_a_query_is_told_from_an_idle_one(deployed: Callable[..., Deployment]) -> None:
    deployment = deployed(kafka={"partitions": 1})
    clock, stop = Clock(), StopRequest(30.0)
    health = Health(Instruments(), wedged_after_seconds=300.0, silent_after_seconds=1e9, monotonic=clock)
    daemon = threading.Thread(target=run_daemon, args=(deployment.settings, health.instruments, stop, health))
    daemon.start()
    try:
        deployment.wait_until(lambda: health.ready().good)
        for _ in range(3):
            clock.now += LONG_SECONDS
            deployment.wait_until(lambda: health.alive().good)

        url = deployment.settings.apdb.url.get_secret_value()
        with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as looking:
            holder.execute('LOCK TABLE "DiaSource"')
            deployment.send(night()[:1])
            deployment.wait_until(lambda: is_waiting_for_a_lock(looking))
            clock.now += LONG_SECONDS
            assert not health.alive().good
            assert "daemon.wedged_after_seconds" in health.alive().body["why"][0]
            assert not health.ready().good

        deployment.wait_until(lambda: deployment.n_committed() == 1)
        deployment.wait_until(lambda: health.ready().good)
    finally:
        stop.set()
        daemon.join(DEADLINE_SECONDS)
    assert not daemon.is_alive()
    assert len(deployment.metrics()) == 1
