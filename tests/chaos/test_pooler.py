"""A pooler in session mode before PostgreSQL is restarted while the daemon works: nothing shows."""

from pathlib import Path
from typing import Final

import pytest

from tests.chaos.nights import more_than, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.stores.apdb.postgresql.pgbouncer import restartable_pgbouncer

pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.slow]

RESTARTS: Final = 3


def test_a_pooler_is_restarted_while_the_daemon_works(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, expected: Outcome, tmp_path: Path
) -> None:
    with restartable_pgbouncer(postgresql_database, "session", 20) as pooler:
        night = night_on(kafka_bootstrap, valkey_url, pooler.url, tmp_path)
        with night.life() as process:
            for _ in range(RESTARTS):
                night.deployment.wait_until(more_than(night.n_counted(), night.n_counted), look_every_seconds=0.02)
                noticed = night.n_failures()
                pooler.kill()
                night.deployment.wait_until(more_than(noticed, night.n_failures))
                pooler.start()
            night.finish_life(process)
        assert_nothing_shows(night.outcome(), expected)
