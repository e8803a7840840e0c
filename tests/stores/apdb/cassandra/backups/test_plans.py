"""Which plans the end of a backup deletes, and which stay."""

import uuid

import pytest

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.backups import CassandraBackups
from stream_assoc.stores.apdb.cassandra.groups import State
from stream_assoc.stores.apdb.cassandra.plans import encode
from stream_assoc.stores.apdb.cassandra.tables import PLAN
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from tests.cassandra.ring import Ring
from tests.stores.apdb.cassandra.daemon import FAR, NEAR, Daemon, items

pytestmark = pytest.mark.integration


@pytest.fixture
def backups(cassandra_node: Ring, shared_keyspace: str) -> CassandraBackups:
    return CassandraBackups(CassandraUrl(cassandra_node.addresses, shared_keyspace), DEFAULT_PATIENCE)


@pytest.fixture
def daemon(daemons: tuple[Daemon, Daemon]) -> Daemon:
    return daemons[0]


def committed(daemon: Daemon, cell: int) -> uuid.UUID:
    """Commit a group, and do not apply it."""
    group_id, timestamp = daemon.take(cell)
    daemon.commit(group_id, timestamp, [items([(cell, "a", None)])])
    return group_id


def applied(daemon: Daemon, cell: int) -> uuid.UUID:
    group_id = committed(daemon, cell)
    daemon.finish(group_id)
    return group_id


def planned(daemon: Daemon) -> set[uuid.UUID]:
    """Return the groups that have a plan."""
    return {group_id for (group_id,) in daemon.connection.read(f'SELECT DISTINCT group_id FROM "{PLAN}"')}


@pytest.mark.rules("PlansAreKept")
def test_a_plan_that_is_needed_stays(daemon: Daemon, backups: CassandraBackups) -> None:
    before, unapplied = applied(daemon, NEAR), committed(daemon, FAR)
    assert backups.begin() == 1
    daemon.finish(unapplied)
    after = applied(daemon, NEAR)
    assert planned(daemon) == {before, unapplied, after}
    assert backups.end() == 1
    assert planned(daemon) == {unapplied, after}
    assert {one: daemon.groups.read(one).state for one in (before, unapplied, after)} == {
        before: State.RETIRED,
        unapplied: State.APPLIED,
        after: State.APPLIED,
    }


def test_nothing_is_deleted_that_no_backup_was_begun_after(daemon: Daemon, backups: CassandraBackups) -> None:
    group_id = applied(daemon, NEAR)
    assert backups.end() == 0
    assert planned(daemon) == {group_id}


def test_what_was_given_up_is_deleted(daemon: Daemon, backups: CassandraBackups) -> None:
    given_up = aborted(daemon)
    preparing, _ = daemon.take(FAR)
    write_plan(daemon, preparing)
    backups.end()
    assert planned(daemon) == {preparing}
    assert daemon.groups.read(given_up).state is State.ABORTED


def test_a_retired_group_counts_and_its_lease_passes_on(daemon: Daemon, backups: CassandraBackups) -> None:
    group_id = committed(daemon, NEAR)
    daemon.applier.apply(daemon.groups.read(group_id))
    backups.begin()
    assert daemon.groups.read(group_id).state is State.RETIRED
    assert daemon.groups.read(group_id).state.counts
    backups.end()
    # Its daemon is dead: whoever takes the cell next raises the versions, without the plan.
    following, _ = daemon.take(NEAR)
    lease = daemon.leases.read([NEAR])[NEAR]
    assert lease.holder == following
    assert sum(lease.tile_versions.values()) == 1


def aborted(daemon: Daemon) -> uuid.UUID:
    """Return a group whose commit came too late."""
    group_id, _ = daemon.take(NEAR)
    write_plan(daemon, group_id)
    daemon.groups.abort(group_id)
    return group_id


def write_plan(daemon: Daemon, group_id: uuid.UUID) -> None:
    daemon.plans.write(group_id, encode([items([(NEAR, "a", None)])]))
