"""A server dies while the daemon works, and comes back: the daemon waits, and the night comes out the same."""

import contextlib
import functools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.tools.embedded.kafka import EmbeddedKafka
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from tests.chaos.nights import Night, batches, more_than, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

N_CRASHES = 4

N_BROKER_CRASHES = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_BROKER_CRASHES", "1"))
"""Fewer, because a broker takes some seconds to start."""


def test_valkey_is_killed_and_comes_back_empty(
    kafka_bootstrap: str, postgresql_database: str, expected: Outcome, tmp_path: Path
) -> None:
    with EmbeddedValkey() as valkey:
        night = night_on(kafka_bootstrap, valkey.url, postgresql_database, tmp_path)
        finish_though(night, away_until_noticed(night, valkey.kill, valkey.start))
        assert_nothing_shows(night.outcome(), expected)


def test_postgresql_is_shut_down_immediately_and_recovers(
    kafka_bootstrap: str, valkey_url: str, expected: Outcome, tmp_path: Path
) -> None:
    with EmbeddedPostgresql() as postgresql:
        night = night_on(kafka_bootstrap, valkey_url, postgresql.url, tmp_path)
        shut_down = functools.partial(postgresql.stop, immediately=True)
        finish_though(night, away_until_noticed(night, shut_down, postgresql.start))
        assert_nothing_shows(night.outcome(), expected)


def test_broker_is_killed_and_comes_back(
    broker: EmbeddedKafka, valkey_url: str, postgresql_database: str, expected: Outcome, tmp_path: Path
) -> None:
    night = night_on(broker.bootstrap_servers, valkey_url, postgresql_database, tmp_path)

    def crash_and_recover() -> None:
        broker.kill()
        broker.start()

    finish_though(night, crash_and_recover, N_BROKER_CRASHES)
    assert_nothing_shows(night.outcome(), expected)


def away_until_noticed(night: Night, crash: Callable[[], None], start: Callable[[], None]) -> Callable[[], None]:
    """Return a crash that lasts until the daemon has found the server away."""

    def n_failures() -> int:
        return night.log.read_text().count('"event": "retrying"')

    def crash_and_recover() -> None:
        noticed = n_failures()
        crash()
        night.deployment.wait_until(lambda: n_failures() > noticed)
        start()

    return crash_and_recover


def finish_though(night: Night, crash_and_recover: Callable[[], None], n_crashes: int = N_CRASHES) -> None:
    """Let one life process the night while a server crashes again and again, in the middle of work."""
    random = np.random.default_rng(10)
    with night.life() as process:
        for _ in range(n_crashes):
            night.deployment.wait_until(more_than(night.n_counted(), night.n_counted), look_every_seconds=0.02)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(random.uniform(0.0, 0.15))
                raise AssertionError(night.log.read_text())
            assert night.n_counted() < len(batches()), "the night is over"
            crash_and_recover()
        night.finish_life(process)
