"""On Cassandra lsst-dax-ppdb waits for what is committed and not applied, and for what may be, however long it takes.

Its own waits are over at once here, so that only the holds keep it.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.administration import CassandraAdministration
from stream_assoc.stores.apdb.cassandra.apdb import PATIENCE_SECONDS, CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.leases import Watch
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.tables import KEYS
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.cassandra.prepared import PreparedApdb
from tests.integration.ppdb import IS_INSTALLED, Programs, Replica, replica_on_cassandra
from tests.integration.ppdb_nights import BEGIN, Night, NightClock, batches
from tests.pipeline.photometers import Photometer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not IS_INSTALLED, reason="no lsst-dax-ppdb: make .cache/ppdb/.installed"),
]

SAME_CHUNK = BEGIN + 10 / 86_400
HOURS = 5 / 24


class KilledError(Exception):
    """The daemon does nothing any more."""


@pytest.fixture
def clock() -> NightClock:
    return NightClock()


@pytest.fixture
def replica(prepared_apdb: PreparedApdb, tmp_path: Path, ppdb_programs: Programs) -> Replica:
    return replica_on_cassandra(prepared_apdb.emptied(), tmp_path, ppdb_programs)


@pytest.fixture
def daemon(replica: Replica, clock: NightClock) -> Iterator[CassandraApdb]:
    """Return a daemon that stores a batch."""
    with opened(replica, clock) as apdb:
        process_first(apdb, replica, clock)
        yield apdb


@pytest.fixture
def other(replica: Replica, clock: NightClock) -> Iterator[CassandraApdb]:
    """Return a daemon whose second look at another one comes long after the first."""
    seconds = iter(range(0, 10**6, 60))
    with opened(replica, clock) as apdb:
        apdb._database.leases._watch = Watch(PATIENCE_SECONDS, lambda: next(seconds))
        yield apdb


@contextlib.contextmanager
def opened(replica: Replica, clock: NightClock) -> Iterator[CassandraApdb]:
    with contextlib.closing(open_apdb(replica.apdb_url, replication=Replication(now=clock.seconds))) as apdb:
        assert isinstance(apdb, CassandraApdb)
        yield apdb


def night_of(apdb: CassandraApdb, replica: Replica, clock: NightClock) -> Night:
    settings = Settings()
    services = services_of(settings, apdb, MemoryCache(layout_of(settings)))
    return Night(replica, dataclasses.replace(services, photometer=Photometer()), clock, lambda: None)


def process_first(apdb: CassandraApdb, replica: Replica, clock: NightClock) -> None:
    night_of(apdb, replica, clock).process(batches(1)[0])
    clock.mjd_tai = SAME_CHUNK


def process_second(apdb: CassandraApdb, replica: Replica, clock: NightClock) -> None:
    night_of(apdb, replica, clock).process(batches(2)[1])


def replicated(replica: Replica) -> set[tuple[str, ...]]:
    """Return the visits and detectors of which the PPDB has sources."""
    places = [apdb_table("DiaSource").names.index(name) for name in ("visit", "detector")]
    rows = replica.rows(of_ppdb=True, table="DiaSource").values()
    return {tuple(row[place] for place in places) for row in rows}


def named(n: int) -> set[tuple[str, ...]]:
    return {tuple(map(str, one.id)) for one in batches(n)}


def assert_equal(replica: Replica) -> None:
    for table in KEYS:
        apdb, ppdb = (replica.rows(of_ppdb=of_ppdb, table=table) for of_ppdb in (False, True))
        assert apdb == ppdb
    assert replicated(replica) == named(2)


@pytest.mark.rules("HoldsBehindUnapplied")
@pytest.mark.parametrize("by", ["a daemon", "stream-assoc replica release"])
def test_a_chunk_waits_for_what_a_dead_daemon_has_committed(
    replica: Replica,
    daemon: CassandraApdb,
    other: CassandraApdb,
    clock: NightClock,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    def die(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(daemon._database.applier, "apply_requests", die)
    monkeypatch.setattr(daemon, "_leave", lambda _: None)
    with pytest.raises(KilledError):
        process_second(daemon, replica, clock)
    clock.mjd_tai += HOURS
    other.waiting()
    replica.replicate()
    assert replicated(replica) == set()
    if by == "a daemon":
        other.waiting()
    else:
        place = parse_url(replica.apdb_url)
        assert isinstance(place, CassandraUrl)
        assert CassandraAdministration(place, clock.seconds).release_chunks() == []
    replica.replicate()
    assert_equal(replica)


@pytest.mark.rules("HoldsBehindPreparing")
def test_a_chunk_waits_for_what_a_sleeping_daemon_has_yet_to_commit(
    replica: Replica, daemon: CassandraApdb, clock: NightClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile() -> None:
        clock.mjd_tai += HOURS
        replica.replicate()
        assert replicated(replica) == set()

    sleep_before_commit(daemon, meanwhile, monkeypatch)
    process_second(daemon, replica, clock)
    daemon.waiting()
    replica.replicate()
    assert_equal(replica)


def test_what_was_to_be_committed_into_a_chunk_that_is_copied_never_is(
    replica: Replica,
    daemon: CassandraApdb,
    other: CassandraApdb,
    clock: NightClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def meanwhile() -> None:
        clock.mjd_tai += HOURS
        for _ in range(2):
            other.waiting()
        replica.replicate()
        assert replicated(replica) == named(1)

    monkeypatch.setattr(daemon._database.groups, "renew", lambda *_: True)
    sleep_before_commit(daemon, meanwhile, monkeypatch)
    with pytest.raises(FencedError):
        process_second(daemon, replica, clock)
    process_second(daemon, replica, clock)
    clock.mjd_tai += HOURS
    daemon.waiting()
    replica.replicate()
    assert_equal(replica)


def sleep_before_commit(apdb: CassandraApdb, meanwhile: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    commit, is_awake = apdb._database.groups.commit, iter([False])

    def late(*arguments: object) -> None:
        if not next(is_awake, True):
            meanwhile()
        commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(apdb._database.groups, "commit", late)
