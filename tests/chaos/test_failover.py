"""The primary of a PostgreSQL dies and a standby takes its place: nothing shows, or what is lost is told."""

import os
import signal
from pathlib import Path

import numpy as np
import psycopg
import pytest

from stream_assoc.failpoints import VARIABLE
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from tests.chaos.nights import LIFE_SECONDS, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.standbys import await_replay, url_of

CANNOT_GO_ON = 2
"""The exit code of an error that somebody has to mend."""

pytestmark = [pytest.mark.integration, pytest.mark.chaos]


def test_the_primary_dies_and_the_synchronous_standby_is_promoted(
    kafka_bootstrap: str, valkey_url: str, expected: Outcome, tmp_path: Path
) -> None:
    with EmbeddedPostgresql() as primary, EmbeddedPostgresql(follows=primary) as standby:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        night = night_on(kafka_bootstrap, valkey_url, url_of(primary, standby), tmp_path)
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


def test_a_standby_that_lacks_what_was_published_is_promoted_before_the_outbox_is_cleared(
    kafka_bootstrap: str, valkey_url: str, tmp_path: Path
) -> None:
    with EmbeddedPostgresql() as primary, EmbeddedPostgresql(follows=primary) as standby:
        night = night_on(kafka_bootstrap, valkey_url, url_of(primary, standby), tmp_path)
        await_replay(primary, standby)
        standby.stop()
        # What meets the other server first is not the micro-batch, which would be tried again.
        with night.life({VARIABLE: "after-publish:3:stop"}) as process:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), night.log.read_text()
            primary.stop(immediately=True)
            standby.start()
            standby.promote()
            n_left = night.n_counted()
            process.send_signal(signal.SIGCONT)
            assert process.wait(LIFE_SECONDS) == CANNOT_GO_ON
        assert "the APDB lacks visit" in night.log.read_text()
        # Nor does the next start, which has committed nothing: the mark is as it was.
        with night.life() as process:
            assert process.wait(LIFE_SECONDS) == CANNOT_GO_ON
        assert "subscribers have its outputs" in night.log.read_text()
        assert night.n_counted() == n_left
