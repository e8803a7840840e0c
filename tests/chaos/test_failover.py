"""The primary of a PostgreSQL with a synchronous standby dies and the standby takes its place: nothing shows."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import psycopg
import pytest

from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from tests.chaos.nights import night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows

pytestmark = [pytest.mark.integration, pytest.mark.chaos]


def test_the_primary_dies_and_the_synchronous_standby_is_promoted(
    kafka_bootstrap: str, valkey_url: str, expected: Outcome, tmp_path: Path
) -> None:
    with EmbeddedPostgresql() as primary, EmbeddedPostgresql(follows=primary) as standby:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        hosts = ",".join(parse_qs(urlsplit(one.url).query)["host"][0] for one in (primary, standby))
        url = f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=read-write"
        night = night_on(kafka_bootstrap, valkey_url, url, tmp_path)
        with night.life() as process:
            night.come_to_work(process, np.random.default_rng(18))
            primary.stop(immediately=True)
            noticed = night.n_failures()
            night.deployment.wait_until(lambda: night.n_failures() > noticed)
            # The standby alone: waiting for one of its own would hold every commit.
            with psycopg.connect(standby.url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                connection.execute("SELECT pg_reload_conf()")
            standby.promote()
            night.finish_life(process)
        assert_nothing_shows(night.outcome(), expected)
