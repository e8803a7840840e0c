"""A daemon sleeps, another one takes its cells and goes on: what the first one sends when it wakes changes nothing.

Each test is about rules of docs/cassandra-protocol.md that it names, and fails without them. Whoever goes on has a
clock that is far behind, so that nothing comes right by the time of day.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.stores.apdb.cassandra.apdb import PATIENCE_SECONDS, CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import read_tables
from stream_assoc.stores.apdb.cassandra.database import Database
from stream_assoc.stores.apdb.cassandra.leases import Watch
from stream_assoc.stores.apdb.cassandra.replica_holds import NEVER
from stream_assoc.stores.apdb.cassandra.tables import GROUP, PLAN, SOURCE_CLAIM, UNFINISHED
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.rows import FIRST, SECOND, changes, dia_object, new_objects, pixel, source
from tests.cassandra.contents import read_table

pytestmark = pytest.mark.integration

OBJECT: Final = 2**60 + 1
HERE, THERE = {"ra": 10.0, "dec": -5.0}, {"ra": 10.4, "dec": -5.3}
"""Positions in different partitions of DiaObjectLast, and in different cells."""

CELLS: Final = np.unique([pixel(one["ra"], one["dec"], 8) for one in (HERE, THERE)])
LAYOUT: Final = 7
Meanwhile = Callable[[], object]


@pytest.fixture
def sleeper(cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch) -> Iterator[CassandraApdb]:
    """Return the daemon that sleeps: its counter stands still."""
    with contextlib.closing(opened(cassandra_apdb)) as apdb:
        monkeypatch.setattr(apdb._database.groups, "renew", lambda *_: True)
        yield apdb


@pytest.fixture
def other(cassandra_apdb: CassandraUrl) -> Iterator[CassandraApdb]:
    """Return the daemon that goes on: each of its looks at a counter comes a second after the one before."""
    seconds = iter(range(10**6))
    with contextlib.closing(opened(cassandra_apdb)) as apdb:
        apdb._database.leases._watch = Watch(PATIENCE_SECONDS, lambda: next(seconds))
        yield apdb


@pytest.fixture
def database(sleeper: CassandraApdb) -> Database:
    return sleeper._database


@pytest.fixture
def sleep_before(
    cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, list[Any]]]]:
    """Let something happen before a method is called, once; what is in the tables then is in the list returned."""

    def arrange(
        owner: object, method: str, meanwhile: Meanwhile, when: Callable[..., bool] = lambda *_: True
    ) -> list[dict[str, list[Any]]]:
        call, found = getattr(owner, method), list[dict[str, list[Any]]]()

        def late(*arguments: Any) -> Any:
            if not found and when(*arguments):
                with monkeypatch.context() as behind:
                    behind.setattr(time, "time_ns", lambda: 0)
                    meanwhile()
                found.append(contents_of(cassandra_apdb))
            return call(*arguments)

        monkeypatch.setattr(owner, method, late)
        return found

    return arrange


def opened(url: CassandraUrl) -> CassandraApdb:
    apdb = url.open(tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION)
    assert isinstance(apdb, CassandraApdb)
    return apdb


def contents_of(url: CassandraUrl) -> dict[str, list[Any]]:
    """Return the rows of all tables, but those that tell of tries; a hold of a replica chunk is one."""
    with contextlib.closing(url.connect(DEFAULT_PATIENCE)) as connection:
        names = set(read_tables(connection)) - {GROUP, PLAN, SOURCE_CLAIM, UNFINISHED}
    rows = {name: read_table(url, name)[1] for name in names}
    return {
        name: sorted((row for row in some if NEVER.replace(tzinfo=None) not in row), key=repr)
        for name, some in rows.items()
    }


def store(apdb: CassandraApdb, *batches: BatchChanges) -> None:
    with apdb.exclusive(CELLS) as session:
        session.commit(batches)


def version(batch: BatchId, start: float, place: dict[str, float]) -> BatchChanges:
    """Return a batch that adds a source to the object, and puts it somewhere."""
    added = source(batch.visit, diaObjectId=OBJECT, timeProcessedMjdTai=start)
    return changes(batch, [added], [dia_object(OBJECT, start, **place)], time=start)


def keep(apdb: CassandraApdb, state: bytes) -> None:
    with apdb.exclusive(CELLS) as session:
        session.keep(Checkpoints(np.array([OBJECT]), np.array([60000.6]), LAYOUT, [state]))


def kept(apdb: CassandraApdb) -> list[bytes]:
    with apdb.exclusive(CELLS) as session:
        return [bytes(blob) for blob in session.load_checkpoints(np.array([OBJECT]), LAYOUT).blobs]


@pytest.mark.parametrize("step", ["claims.claim", "plans.write", "groups.commit"])
def test_a_commit_that_comes_late_stores_nothing(
    sleeper: CassandraApdb,
    other: CassandraApdb,
    database: Database,
    sleep_before: Callable[..., list[dict[str, list[Any]]]],
    cassandra_apdb: CassandraUrl,
    step: str,
) -> None:
    """Rules `Fence` and `CommitIfMine`."""
    store(other, new_objects(FIRST, [OBJECT]))
    part, method = step.split(".")
    left = sleep_before(getattr(database, part), method, lambda: store(other, version(BatchId(5, 1), 60001.0, THERE)))
    with pytest.raises(FencedError):
        store(sleeper, version(SECOND, 60001.5, HERE))
    assert left == [contents_of(cassandra_apdb)]
    assert not other.contains(SECOND)
    store(other, version(SECOND, 60002.0, HERE))
    assert other.contains(SECOND)


@pytest.mark.rules("TimestampsGrow", "OneTimestamp", "KeyOnce", "KeysFromPlan")
def test_rows_and_deletes_that_come_late_change_nothing(
    sleeper: CassandraApdb,
    other: CassandraApdb,
    database: Database,
    sleep_before: Callable[..., list[dict[str, list[Any]]]],
    cassandra_apdb: CassandraUrl,
) -> None:
    """Rules `RollForward`, `DerivedTimestamps`, `TimestampsGrow`, `OneTimestamp`: the object is back where it was."""
    store(other, new_objects(FIRST, [OBJECT]))
    back = version(BatchId(5, 1), 60001.5, HERE)
    left = sleep_before(database.applier, "apply_requests", lambda: store(other, back))
    store(sleeper, version(SECOND, 60001.0, THERE))
    assert left == [contents_of(cassandra_apdb)]
    assert [60001.5 in row for row in left[0]["DiaObjectLast"]] == [True]
    assert len(left[0]["DiaSource"]) == 3


def test_cells_that_are_given_back_late_stay_with_their_holder(
    sleeper: CassandraApdb,
    other: CassandraApdb,
    database: Database,
    sleep_before: Callable[..., list[dict[str, list[Any]]]],
    cassandra_apdb: CassandraUrl,
) -> None:
    """Rules `OnlyLWT` and `TakerRaisesToo`: the versions are raised once."""
    store(other, new_objects(FIRST, [OBJECT]))
    with contextlib.ExitStack() as session_of_other:
        left = sleep_before(
            database.connection,
            "decide_together",
            lambda: session_of_other.enter_context(other.exclusive(CELLS)),
            when=lambda statements: "holder = NULL" in statements[0][0],
        )
        store(sleeper, version(SECOND, 60001.0, HERE))
        assert left == [contents_of(cassandra_apdb)]
        leases = other._database.leases.read(CELLS.tolist())
    holders = {lease.holder for lease in leases.values()}
    assert len(holders) == 1
    assert None not in holders
    assert [version for lease in leases.values() for version in lease.tile_versions.values()] == [2]


def test_outputs_that_come_late_are_not_published_again(
    sleeper: CassandraApdb,
    other: CassandraApdb,
    database: Database,
    sleep_before: Callable[..., list[dict[str, list[Any]]]],
    cassandra_apdb: CassandraUrl,
) -> None:
    """Rules `RollForward` and `DerivedTimestamps`: what is published is deleted above the time of the commit."""
    batch = new_objects(FIRST, [OBJECT])

    def publish() -> None:
        entry = other.outbox_entry(batch.entry.key)
        assert entry is not None
        assert entry.outputs == batch.outputs
        other.mark_published([batch.entry.key])

    left = sleep_before(database.applier, "apply_requests", publish)
    store(sleeper, batch)
    assert sleeper.outbox_entry(batch.entry.key) is None
    assert sleeper.unpublished() == []
    late = contents_of(cassandra_apdb)
    for table in ("StreamAssocOutbox", "StreamAssocWaiting"):
        assert late[table] == left[0][table] == []


@pytest.mark.rules("LastIsKept")
def test_a_checkpoint_that_comes_late_is_not_found(
    sleeper: CassandraApdb,
    other: CassandraApdb,
    database: Database,
    sleep_before: Callable[..., list[dict[str, list[Any]]]],
    cassandra_apdb: CassandraUrl,
) -> None:
    """Rules `TimestampsGrow` and `LastIsKept`: the cells know the time of a write before it is sent."""
    store(other, new_objects(FIRST, [OBJECT]))
    left = sleep_before(database.applier, "write", lambda: keep(other, b"later"))
    keep(sleeper, b"late")
    assert left == [contents_of(cassandra_apdb)]
    assert kept(other) == [b"later"]


def test_no_checkpoint_is_sent_without_the_cells(
    sleeper: CassandraApdb,
    other: CassandraApdb,
    database: Database,
    sleep_before: Callable[..., list[dict[str, list[Any]]]],
    cassandra_apdb: CassandraUrl,
) -> None:
    """Rule `OnlyLWT`: a time is noted in cells that are held, or not at all."""
    store(other, new_objects(FIRST, [OBJECT]))
    left = sleep_before(database.leases, "hold", lambda: keep(other, b"later"))
    with pytest.raises(FencedError):
        keep(sleeper, b"late")
    assert left == [contents_of(cassandra_apdb)]
    assert kept(other) == [b"later"]
