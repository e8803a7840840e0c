"""A PPDB that the released lsst-dax-ppdb fills equals the APDB, row for row, after nights of every kind."""

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import astropy.time
import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from lsst.dax.apdb import Apdb
from typer.testing import CliRunner, Result

from stream_assoc.apps.cli.main import app
from stream_assoc.core.model.batch import Batch
from stream_assoc.pipeline.batches import Processed, arrive
from stream_assoc.pipeline.clock import PinnedClock
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.sql.rows import KEYS
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.transform.batches import content_digest
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.integration.ppdb import Programs, Replica, programs, replica_on_postgresql, replica_on_sqlite
from tests.pipeline.photometers import Photometer, with_images
from tests.pipeline.skies import night

pytestmark = pytest.mark.integration

BEGIN = 61_100.0
"""Processing time of the first batch, MJD TAI."""

STEP = 700.0 / 86_400
"""Longer than a replica chunk, so that each batch and each change has one of its own."""

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="module")
def ppdb_programs() -> Iterator[Programs]:
    with programs() as started:
        yield started


@pytest.fixture
def replica(request: pytest.FixtureRequest, tmp_path: Path, ppdb_programs: Programs) -> Replica:
    if request.param == "sqlite":
        return replica_on_sqlite(tmp_path, ppdb_programs)
    return replica_on_postgresql(request.getfixturevalue("postgresql_database"), tmp_path, ppdb_programs)


class Night:
    """Writers of an APDB, each of which works a step after the one before.

    Parameters
    ----------
    replica : `Replica`
        The APDB.
    after_each : callable
        Called after every step.
    """

    def __init__(self, replica: Replica, services: Services, after_each: Callable[[], None]) -> None:
        self._replica = replica
        self._services = services
        self._after_each = after_each
        self._time = BEGIN

    def process(self, *batches: Batch, reprocessing: bool = False) -> None:
        for batch in batches:
            services = dataclasses.replace(self._services, clock=PinnedClock(self._time))
            (outcome,) = process_batches([arrive(batch, services, reprocessing=reprocessing)], services)
            assert isinstance(outcome, Processed)
            self._step()

    def administer(self, change: Callable[[Any, "Night"], None]) -> None:
        """Let dax_apdb's own client change something."""
        client: Any = Apdb.from_uri(str(self._replica.apdb_config))
        client._current_time = lambda: astropy.time.Time(self._time, format="mjd", scale="tai")
        change(client, self)
        self._step()

    def columns(self, table: str, *names: str) -> list[tuple[Any, ...]]:
        """Return columns of the rows that count, sorted."""
        from tests.contents import columns

        return sorted(columns(self._replica.apdb_url, table, *names))

    @property
    def time(self) -> astropy.time.Time:
        return astropy.time.Time(self._time, format="mjd", scale="tai")

    def _step(self) -> None:
        self._after_each()
        self._time += STEP


def processed_again(one: Batch) -> Batch:
    """Return a batch without each third of its sources, the ids of the others given anew."""
    kept = np.flatnonzero(np.arange(len(one)) % 3)
    rows = one.diaSources.take(pa.array(kept))
    renumbered = pa.array(one.diaSourceId[: len(kept)])
    place = rows.schema.get_field_index("diaSourceId")
    columns = [*rows.columns[:place], renumbered, *rows.columns[place + 1 :]]
    made = dataclasses.replace(one, diaSources=pa.RecordBatch.from_arrays(columns, schema=rows.schema))
    return dataclasses.replace(made, digest=content_digest(made))


def batches(n: int) -> Sequence[Batch]:
    return [with_images(one) for one in night()[:n]]


def plain(night: Night) -> None:
    night.process(*batches(8))


def reprocessed(night: Night) -> None:
    first = batches(6)
    night.process(*first)
    again = [processed_again(first[place]) for place in (0, 3, 5)]
    night.process(*again, reprocessing=True)
    night.process(*batches(8)[6:])
    night.process(processed_again(again[0]), reprocessing=True)


def lived_through(replica: Replica, story: Callable[[Night], None], *, keeps_up: bool) -> None:
    """Live through a night with a replicator that keeps up, or comes when all is over."""
    settings = Settings()
    with closing(open_apdb(replica.apdb_url)) as apdb:
        services = services_of(settings, apdb, MemoryCache(layout_of(settings)))
        services = dataclasses.replace(services, photometer=Photometer())
        story(Night(replica, services, replica.replicate if keeps_up else lambda: None))
        replica.replicate()


def ours(replica: Replica, command: str) -> tuple[int, dict[str, Any]]:
    """Run a command of ours, and return its exit code and what it found."""
    result: Result = CliRunner().invoke(
        app, ["replica", command, str(replica.ppdb_config), "--json", "--set", f"apdb.url={replica.apdb_url}"],
        catch_exceptions=False,
    )  # fmt: skip
    return result.exit_code, json.loads(result.stdout)


def assert_equal(replica: Replica) -> None:
    """Check with our program and without it that both databases hold the same rows."""
    code, found = ours(replica, "check")
    assert (code, found["faults"], found["chunks"]["awaiting"]) == (0, 0, 0), found
    for table in KEYS:
        apdb, ppdb = (replica.rows(of_ppdb=of_ppdb, table=table) for of_ppdb in (False, True))
        assert apdb == ppdb
        assert found["tables"][table]["equal"] == len(apdb) > 0


@pytest.mark.parametrize("replica", DATABASES, indirect=True)
@pytest.mark.parametrize("keeps_up", [True, False])
def test_a_plain_night(replica: Replica, keeps_up: bool) -> None:
    lived_through(replica, plain, keeps_up=keeps_up)
    assert_equal(replica)


@pytest.mark.parametrize("replica", DATABASES, indirect=True)
def test_a_reprocessed_night_with_replication_lagging(replica: Replica) -> None:
    lived_through(replica, reprocessed, keeps_up=False)
    assert_equal(replica)


@pytest.mark.parametrize("replica", DATABASES, indirect=True)
def test_a_reprocessed_night_with_replication_keeping_up(replica: Replica) -> None:
    lived_through(replica, reprocessed, keeps_up=True)
    assert ours(replica, "repair")[0] == 0
    assert_equal(replica)


@pytest.mark.parametrize("replica", DATABASES, indirect=True)
def test_a_replicator_that_stopped_goes_on_after_a_repair(replica: Replica) -> None:
    lived_through(replica, plain, keeps_up=False)
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
