"""The cache on a primary that Sentinels name, killed and frozen while the daemon works: nothing shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.nights import SECTIONS, Night, batches, more_than
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.integration.deployment import deploy
from tests.valkey_sentinels import SERVICE, ValkeySentinels

pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.slow]

BATCHES_AT_ONCE: Final = 12


@pytest.mark.parametrize("lose", [ValkeySentinels.kill, ValkeySentinels.freeze])
def test_a_primary_is_lost_while_the_daemon_works(
    kafka_bootstrap: str, tmp_path: Path, expected: Outcome, lose: Callable[[ValkeySentinels, int], None]
) -> None:
    sections = {name: dict(section) for name, section in SECTIONS.items()}
    with ValkeySentinels() as service:
        redis = {"sentinel_service": SERVICE, "timeout_seconds": 1.0}
        url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
        night = Night(deploy(kafka_bootstrap, service.url, url, redis=redis, **sections), tmp_path)
        waiting = list(batches())
        with night.life() as process:
            night.deployment.send(waiting[:BATCHES_AT_ONCE])
            night.deployment.wait_until(more_than(night.n_counted(), night.n_counted), look_every_seconds=0.02)
            old = service.primary()
            lose(service, old)
            service.await_failover(old)
            night.deployment.send(waiting[BATCHES_AT_ONCE:])
            night.finish_life(process)
        assert_nothing_shows(night.outcome(), expected)
        assert night.n_failures() > 0, "nobody has noticed that the primary was away"
