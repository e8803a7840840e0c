"""A daemon whose clock is off stores nothing on Cassandra, says why, and does no harm to who comes after."""

import functools
import os
from pathlib import Path

import pytest

from tests.cassandra.prepared import PreparedApdb
from tests.chaos.clocks import clock_off_by
from tests.chaos.nights import Night, more_than, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

IS_LONG = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_NIGHTS", "1")) > 1

CLOCKS_SECONDS = (600, -600) if IS_LONG else (600,)
"""How far the clock is off, one life of the daemon after the other (both: ``make chaos``)."""

COMPLAINT = "the clock of this host and that of a Cassandra node differ by 600 s"


def test_on_cassandra_a_clock_that_is_off_is_refused(
    kafka_bootstrap: str, valkey_url: str, prepared_apdb: PreparedApdb, expected: Outcome, tmp_path: Path
) -> None:
    night = night_on(kafka_bootstrap, valkey_url, prepared_apdb.emptied(), tmp_path)
    for seconds in CLOCKS_SECONDS:
        with night.life(clock_off_by(seconds)) as process:
            # Again and again: it waits for the clock to be set.
            for _ in range(2):
                night.deployment.wait_until(more_than(n_complaints(night), functools.partial(n_complaints, night)))
            assert process.poll() is None
    assert night.n_counted() == 0
    night.finish()
    assert_nothing_shows(night.outcome(), expected)


def n_complaints(night: Night) -> int:
    """Return how often the daemon has said that its clock is off."""
    return night.log.read_text().count(COMPLAINT)
