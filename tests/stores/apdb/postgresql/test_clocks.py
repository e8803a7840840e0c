"""A clock that is not PostgreSQL's is told, with what it may harm."""

import time

import psycopg
import pytest

from stream_assoc.stores.apdb.backend import ApdbReport
from stream_assoc.stores.apdb.postgresql.clocks import seconds_ahead
from stream_assoc.wiring.stores import clock_advice


@pytest.mark.parametrize("off", [600.0, -600.0])
def test_how_far_a_clock_is_off(postgresql_url: str, off: float) -> None:
    with psycopg.connect(postgresql_url) as connection:
        assert seconds_ahead(connection, lambda: time.time() + off) == pytest.approx(off, abs=5.0)


def test_a_clock_that_may_be_right_is_not_off(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        assert seconds_ahead(connection) == 0.0


@pytest.mark.parametrize(
    ("ahead", "replication", "said"),
    [(31.0, True, "31 s ahead of"), (-600.0, True, "600 s behind"), (-30.0, True, None), (600.0, False, None)],
)
def test_what_is_said(ahead: float, replication: bool, said: str | None) -> None:
    report = ApdbReport("9.0.0", "2.1.0", replication, "x", "10/8", "secret", seconds_ahead=ahead)
    advice = clock_advice(report)
    assert advice is None if said is None else advice is not None and said in advice and "replica check" in advice
