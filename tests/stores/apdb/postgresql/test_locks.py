"""A server that has no room for the locks asked for says so, in a way that tells whose fault it is."""

from collections.abc import Iterator

import numpy as np
import pytest

from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import ApdbUnavailableError, LocksExhaustedError
from stream_assoc.stores.apdb.backend import ApdbReport
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.wiring.stores import lock_advice
from tests.configured import configured

FIRST_CELL = 8 * 4**8
"""Of HTM level 8, which has half a million cells."""


@pytest.fixture
def apdb(postgresql_apdb_url: str) -> Iterator[PostgresqlApdb]:
    made = PostgresqlApdb(postgresql_apdb_url)
    yield made
    made.close()


def test_more_cells_than_the_lock_table_holds(apdb: PostgresqlApdb) -> None:
    # A server reserves somewhat more than it promises.
    cells = FIRST_CELL + np.arange(4 * apdb.lock_table.size)
    with pytest.raises(LocksExhaustedError, match="max_locks_per_transaction") as caught, apdb.exclusive(cells):
        pass
    assert isinstance(caught.value, ApdbUnavailableError)
    assert caught.value.n_cells == len(cells)
    assert caught.value.fair_share == apdb.lock_table.fair_share
    # What it did get is given back, by the end of that session.
    with apdb.exclusive(cells[: apdb.lock_table.size // 4]):
        pass


def test_cells_of_somebody_who_stands_still_become_free(postgresql_apdb_url: str) -> None:
    cells = np.array([FIRST_CELL])
    still = PostgresqlApdb(postgresql_apdb_url, patience=Patience(idle_seconds=0.5))
    other = PostgresqlApdb(postgresql_apdb_url)
    with pytest.raises(ApdbUnavailableError, match="idle-session timeout"):
        stand_still_inside(still, other, cells)
    # Who holds nothing may ask for nothing as long as he likes.
    with still.exclusive(cells):
        pass
    ((limit,),) = still._pool._idle[0].execute("SHOW idle_session_timeout").fetchall()
    assert limit == "0"
    still.close()
    other.close()


def stand_still_inside(still: PostgresqlApdb, other: PostgresqlApdb, cells: IntArray) -> None:
    with still.exclusive(cells) as session:
        session.load_tiles(cells)
        with other.exclusive(cells):
            pass
        session.load_tiles(cells)


def test_the_lock_table_is_the_servers(apdb: PostgresqlApdb) -> None:
    assert apdb.lock_table.fair_share >= 10
    assert apdb.lock_table.size >= 100 * apdb.lock_table.fair_share / 2


@pytest.mark.parametrize(("size", "is_advised"), [(None, False), (6400, False), (4000, False), (3999, True)])
def test_daemons_that_could_fill_the_lock_table_are_told(size: int | None, is_advised: bool) -> None:
    report = ApdbReport(
        "9.0.0",
        "2.1.0",
        replication=True,
        identity="x",
        partition="10/8",
        cache_secret="secret",
        lock_table_size=size,
    )
    advice = lock_advice(report, configured(daemon={"micro_batch_cells": 2000}))
    assert (advice is not None) == is_advised
    assert advice is None or ("max_locks_per_transaction" in advice and "daemon.micro_batch_cells = 2000" in advice)
