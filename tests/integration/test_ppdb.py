"""A PPDB that the released lsst-dax-ppdb fills equals the APDB, row for row, after nights of every kind."""

import dataclasses
import itertools
import json
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from stream_assoc.apps.cli.main import app
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.tables import KEYS
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.integration.ppdb import (
    IS_INSTALLED,
    Programs,
    Replica,
    replica_on_cassandra,
    replica_on_postgresql,
    replica_on_sqlite,
)
from tests.integration.ppdb_nights import BEGIN, STEP, Night, NightClock, administered, plain, reprocessed
from tests.pipeline.photometers import Photometer

pytestmark = pytest.mark.integration

if not IS_INSTALLED:
    pytest.skip(
        "no lsst-dax-ppdb in .cache/ppdb, which needs Python 3.12 or later: make .cache/ppdb/.installed",
        allow_module_level=True,
    )

SQL = ["sqlite", "postgresql"]
DATABASES = [*SQL, "cassandra"]


@pytest.fixture
def replica(request: pytest.FixtureRequest, tmp_path: Path, ppdb_programs: Programs) -> Replica:
    if request.param == "sqlite":
        return replica_on_sqlite(tmp_path, ppdb_programs)
    if request.param == "cassandra":
        return replica_on_cassandra(request.getfixturevalue("prepared_apdb").emptied(), tmp_path, ppdb_programs)
    return replica_on_postgresql(request.getfixturevalue("postgresql_database"), tmp_path, ppdb_programs)


def lived_through(replica: Replica, story: Callable[[Night], None], after_each: Callable[[], None]) -> None:
    """Live through a night, with something done after every batch and every change; then replicate all of it."""
    settings, clock = Settings(), NightClock()
    with closing(open_apdb(replica.apdb_url, replication=Replication(now=clock.seconds))) as apdb:
        services = services_of(settings, apdb, MemoryCache(layout_of(settings)))
        story(Night(replica, dataclasses.replace(services, photometer=Photometer()), clock, after_each))
        # A daemon looks at the outbox minutes later, and on Cassandra releases the last chunk.
        clock.mjd_tai += STEP
        apdb.waiting()
    replica.replicate()


def nothing() -> None:
    """Lag behind."""


def ours(replica: Replica, command: str) -> tuple[int, dict[str, Any]]:
    """Run a command of ours, and return its exit code and what it found."""
    result: Result = CliRunner().invoke(
        app, ["replica", command, str(replica.ppdb_config), "--json", "--set", f"apdb.url={replica.apdb_url}"],
        catch_exceptions=False,
    )  # fmt: skip
    return result.exit_code, json.loads(result.stdout)


def assert_equal(replica: Replica) -> None:
    """Check with our program and without it that both databases hold the same rows."""
    n_rows = {}
    for table in KEYS:
        apdb, ppdb = (replica.rows(of_ppdb=of_ppdb, table=table) for of_ppdb in (False, True))
        assert apdb == ppdb
        n_rows[table] = len(apdb)
    assert all(n_rows.values())
    if replica.is_in_sql:
        code, found = ours(replica, "check")
        assert (code, found["faults"], found["chunks"]["awaiting"]) == (0, 0, 0), found
        assert {table: tally["equal"] for table, tally in found["tables"].items()} == n_rows


@pytest.mark.parametrize("replica", SQL, indirect=True)
def test_a_plain_night_that_is_replicated_as_it_goes(replica: Replica) -> None:
    lived_through(replica, plain, replica.replicate)
    assert_equal(replica)


@pytest.mark.parametrize("replica", DATABASES, indirect=True)
@pytest.mark.parametrize("story", [plain, reprocessed, administered])
def test_a_night_that_is_replicated_when_it_is_over(replica: Replica, story: Callable[[Night], None]) -> None:
    lived_through(replica, story, nothing)
    assert_equal(replica)


@pytest.mark.parametrize("replica", SQL, indirect=True)
@pytest.mark.parametrize("story", [reprocessed, administered])
def test_a_changed_night_that_is_replicated_as_it_goes_is_equal_after_a_repair(
    replica: Replica, story: Callable[[Night], None]
) -> None:
    lived_through(replica, story, replica.replicate)
    code, found = ours(replica, "check")
    assert code == 1
    for tally in found["tables"].values():
        assert tally["different"] > 0
        assert tally["missing"] + tally["extra"] + sum(tally["stopping"].values()) == 0
    assert ours(replica, "repair")[0] == 0
    assert_equal(replica)


@pytest.mark.parametrize("replica", SQL, indirect=True)
@pytest.mark.parametrize("story", [reprocessed, administered])
def test_a_repair_while_chunks_are_waiting_does_not_stop_the_replicator(
    replica: Replica, story: Callable[[Night], None]
) -> None:
    steps = itertools.count(1)

    def now_and_then() -> None:
        if next(steps) % 3:
            replica.replicate()
        else:
            assert ours(replica, "repair")[0] == 0

    lived_through(replica, story, now_and_then)
    assert ours(replica, "repair")[0] == 0
    assert_equal(replica)


@pytest.mark.parametrize("replica", SQL, indirect=True)
def test_a_replicator_that_stopped_goes_on_after_a_repair(replica: Replica) -> None:
    lived_through(replica, plain, nothing)
    with replica.writing() as connection:
        chunks = {"apdb_replica_chunk": int((BEGIN - 40587.0) * 86_400) + 6_000_000, "last": "2026-01-01 00:00:00"}
        connection.execute(
            sa.text('INSERT INTO "ApdbReplicaChunks" VALUES (:apdb_replica_chunk, :last, :unique)'),
            {**chunks, "unique": uuid.UUID(int=1).hex},
        )
        # A row that has been copied is noted again, as re-processing once did.
        source = connection.execute(sa.text('SELECT min("diaSourceId") FROM "DiaSource"')).scalar_one()
        connection.execute(
            sa.text(
                'UPDATE "DiaSourceChunks" SET apdb_replica_chunk = :apdb_replica_chunk WHERE "diaSourceId" = :id'
            ),
            {**chunks, "id": source},
        )
        # A record of an object whose interval is closed.
        payload = {"update_type": "update_n_dia_sources", "diaObjectId": 1, "nDiaSources": 3, "ra": 1.0, "dec": 1.0}
        connection.execute(
            sa.text('INSERT INTO "ApdbUpdateRecordChunks" VALUES (:apdb_replica_chunk, 1, 0, :unique, :payload)'),
            {**chunks, "unique": uuid.UUID(int=2).hex, "payload": json.dumps(payload)},
        )
        # A value that changed without a record.
        connection.execute(sa.text('UPDATE "DiaSource" SET "psfFlux" = 17 WHERE "diaSourceId" = :id'), {"id": source})
    with pytest.raises(AssertionError, match=r"UNIQUE|UniqueViolation"):
        replica.replicate()
    code, found = ours(replica, "check")
    sources, objects = found["tables"]["DiaSource"], found["tables"]["DiaObject"]
    assert code == 1
    assert (sources["different"], sources["columns"], sources["stopping"]["rows"]) == (1, {"psfFlux": 1}, 1)
    assert sources["examples"] == {"different": [[source]]}
    assert objects["stopping"]["records"] == 1
    assert ours(replica, "repair")[0] == 0
    replica.replicate()
    assert_equal(replica)
