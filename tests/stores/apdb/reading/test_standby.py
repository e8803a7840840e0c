"""A standby that is behind says so to whoever reads it, instead of denying what subscribers have been sent."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from stream_assoc.apps.cli.main import app
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.apps.cli.report import gathered
from stream_assoc.apps.web.app import make_app
from stream_assoc.apps.web.feed import Feed
from stream_assoc.apps.web.library import Library
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.times import DayObs
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.reading.port import ApdbReader, NotStoredError
from stream_assoc.stores.apdb.reading.standby import standby_remark
from stream_assoc.testing.rows import BIG, FIRST, new_objects, store
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from tests.configured import configured
from tests.documentation.session import wait_until
from tests.standbys import await_replay

pytestmark = pytest.mark.integration

REMARK = "apdb.url leads to a standby that is"
PAGE = "/api/visits/{0.visit}/{0.detector}"


class Pair:
    """A primary with one batch, and a standby that has it."""

    def __init__(self, primary: EmbeddedPostgresql, standby: EmbeddedPostgresql) -> None:
        self.primary, self.standby = primary, standby
        self._ids = itertools.count(BIG, 2)
        self.n_detectors = 0
        self.store_another()
        await_replay(primary, standby)

    def store_another(self) -> BatchId:
        """Store one batch more on the primary."""
        self.n_detectors += 1
        batch = FIRST._replace(detector=self.n_detectors)
        with contextlib.closing(open_apdb(self.primary.url)) as apdb:
            store(apdb, new_objects(batch, [next(self._ids)]))
        return batch

    def lag(self) -> BatchId:
        """Let the standby receive a batch and not show it, until it is behind by what is told."""
        self._run("SELECT pg_wal_replay_pause()")
        batch = self.store_another()
        with reading(self.standby) as reader:
            wait_until(lambda: standby_remark(reader) is not None)
        return batch

    def catch_up(self) -> None:
        self._run("SELECT pg_wal_replay_resume()")
        await_replay(self.primary, self.standby)

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.standby.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def reading(server: EmbeddedPostgresql) -> Iterator[ApdbReader]:
    with contextlib.closing(open_reader(server.url)) as reader:
        yield reader


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with EmbeddedPostgresql() as primary:
        init(primary.url)
        with EmbeddedPostgresql(follows=primary) as standby:
            yield Pair(primary, standby)


def test_how_far_a_standby_is_behind(pair: Pair) -> None:
    with reading(pair.primary) as primary, reading(pair.standby) as standby:
        assert primary.seconds_behind() is None
        # Nothing has been committed for a while, which is no lag.
        assert standby.seconds_behind() == 0.0
        pair.lag()
        behind = standby.seconds_behind()
        assert behind is not None
        assert 1.0 <= behind < 60.0
        pair.catch_up()
        assert standby.seconds_behind() == 0.0


def test_the_dashboard_does_not_deny_what_a_standby_lacks(pair: Pair) -> None:
    settings = configured(apdb={"url": pair.standby.url})
    with contextlib.closing(Library(settings)) as library:
        client = TestClient(make_app(settings, Feed(10), library), base_url="http://localhost:8765")
        batch = pair.lag()
        answer = client.get(PAGE.format(batch))
        assert answer.status_code == 404
        assert REMARK in answer.json()["error"]
        assert client.get(PAGE.format(FIRST._replace(detector=1))).status_code == 200
        pair.catch_up()
        assert client.get(PAGE.format(batch)).status_code == 200
        assert REMARK not in client.get("/api/visits/99").json()["error"]


def test_explain_and_report_say_that_a_standby_is_behind(pair: Pair) -> None:
    settings = configured(apdb={"url": pair.standby.url})
    command = ["explain", str(BIG + 3), "--set", f"apdb.url={pair.standby.url}"]
    pair.lag()
    with pytest.raises(NotStoredError, match=REMARK):
        CliRunner().invoke(app, command, catch_exceptions=False)
    night = gathered(settings, DayObs(20251120), [], None, Path("metrics.avro"), Progress(), with_apdb=True)
    assert REMARK in night.origins[-1]
    pair.catch_up()
    night = gathered(settings, DayObs(20251120), [], None, Path("metrics.avro"), Progress(), with_apdb=True)
    assert night.origins[-1] == "the APDB"


def test_a_standby_that_hears_nothing_of_its_primary_does_not_say_that_it_has_all(pair: Pair) -> None:
    with reading(pair.standby) as standby:
        assert standby.seconds_behind() == 0.0
        pair.primary.stop(immediately=True)
        wait_until(lambda: standby.seconds_behind() != 0.0)
