"""The rules of docs/cassandra-protocol.md on real nodes: what a daemon does late, twice or not at all is harmless."""

import pytest

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.pipeline.exceptions import ApdbUnavailableError, FencedError, LedgerConflictError
from stream_assoc.stores.apdb.cassandra.groups import State
from stream_assoc.stores.apdb.cassandra.plans import encode
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError
from tests.stores.apdb.cassandra.daemon import FAR, NEAR, TILE, Daemon, entry, items

pytestmark = pytest.mark.integration

Two = tuple[Daemon, Daemon]


@pytest.mark.rules("VersionIsRaised")
def test_batches_follow_each_other(daemons: Two) -> None:
    one, other = daemons
    one.add(1, "a", NEAR)
    other.add(1, "b", NEAR, FAR)
    one.add(1, "c", FAR, NEAR)
    assert one.item(1) == ("abc", None)
    lease = other.leases.read([NEAR])[NEAR]
    assert (lease.holder, lease.last_timestamp, lease.tile_versions) == (None, 3, {TILE: 3})
    assert other.leases.read([FAR])[FAR].last_timestamp == 3
    assert other.leases.known_tiles() == [TILE]
    assert other.applier.unfinished() == {}


@pytest.mark.rules("Fence", "CommitIfMine", "DeadAreAborted")
def test_a_commit_that_comes_late_is_refused(daemons: Two) -> None:
    sleeper, other = daemons
    group_id, timestamp = sleeper.take(NEAR)
    other.add(1, "b", NEAR)
    with pytest.raises(FencedError):
        sleeper.commit(group_id, timestamp, [items([(1, "a", None)])])
    sleeper.finish(group_id)
    assert other.item(1) == ("b", None)
    assert other.leases.read([NEAR])[NEAR].tile_versions == {TILE: 1}


def test_cells_that_are_taken_late_hold_nobody_up(daemons: Two) -> None:
    sleeper, other = daemons
    group_id, _ = sleeper.take(NEAR)
    assert other.groups.abort(group_id) is State.ABORTED
    sleeper.leases.take(group_id, [FAR], 60.0)
    other.add(1, "b", NEAR, FAR)
    assert other.item(1) == ("b", None)


@pytest.mark.rules("RollForward")
def test_who_comes_next_finishes_what_is_committed(daemons: Two) -> None:
    dead, other = daemons
    group_id, timestamp = dead.take(NEAR)
    dead.commit(group_id, timestamp, [items([(1, "a", None)])], delta=2)
    assert other.applier.unfinished() == {group_id: None}
    other.add(1, "b", NEAR)
    assert other.item(1) == ("ab", None)
    assert other.leases.read([NEAR])[NEAR].tile_versions == {TILE: 2}
    assert other.leases.single_source_objects() == 2


@pytest.mark.rules("DerivedTimestamps")
def test_rows_that_are_written_late_change_nothing(daemons: Two) -> None:
    sleeper, other = daemons
    group_id, timestamp = sleeper.take(NEAR)
    sleeper.commit(group_id, timestamp, [items([(1, "a", "of a")])])
    late = sleeper.groups.read(group_id)
    other.add(1, "b", NEAR)
    sleeper.applier.apply(late)
    sleeper.leases.pass_on(sleeper.groups.read(group_id))
    assert other.item(1) == ("ab", None)
    assert other.groups.read(group_id).state is State.APPLIED


@pytest.mark.rules("TakerRaisesToo")
def test_who_takes_from_an_applied_group_raises_its_versions_once(daemons: Two) -> None:
    dead, other = daemons
    group_id, timestamp = dead.take(NEAR)
    dead.commit(group_id, timestamp, [items([(1, "a", None)])], delta=-1)
    dead.applier.apply(dead.groups.read(group_id))
    next_group, first = other.take(NEAR)
    assert first == timestamp + 1
    for daemon in daemons:
        daemon.leases.pass_on(daemon.groups.read(group_id))
    lease = other.leases.read([NEAR])[NEAR]
    assert (lease.holder, lease.tile_versions) == (next_group, {TILE: 1})
    assert other.leases.single_source_objects() == -1


@pytest.mark.rules("PatienceIsCounted")
def test_a_holder_that_works_is_waited_for(daemons: Two) -> None:
    holder, other = daemons
    group_id, timestamp = holder.take(NEAR)
    looks = iter(range(1, 1000))

    def works() -> float:
        assert holder.groups.renew(group_id, next(looks))
        other.now += 3.0
        return other.now

    other.leases._monotonic = works
    with pytest.raises(ApdbUnavailableError, match="lock_timeout_seconds"):
        other.take(NEAR)
    holder.commit(group_id, timestamp, [items([(1, "a", None)])])
    holder.finish(group_id)
    assert holder.item(1) == ("a", None)


@pytest.mark.rules("MissingIsFatal")
def test_a_missing_group_lets_nobody_pass(daemons: Two) -> None:
    holder, other = daemons
    group_id, _ = holder.take(NEAR)
    holder.connection.decide('DELETE FROM "StreamAssocGroup" WHERE group_id = ? IF EXISTS', group_id)
    with pytest.raises(ApdbDamagedError, match="StreamAssocGroup"):
        other.take(NEAR)


@pytest.mark.rules("CountAndDigest")
def test_a_plan_that_lacks_a_chunk_is_not_applied(daemons: Two) -> None:
    one, _ = daemons
    group_id, timestamp = one.take(NEAR)
    one.commit(group_id, timestamp, [items([(1, "a", None)])])
    one.connection.write('DELETE FROM "StreamAssocPlan" WHERE group_id = ?', group_id)
    with pytest.raises(ApdbDamagedError, match="StreamAssocPlan"):
        one.finish(group_id)
    assert one.groups.read(group_id).state is State.COMMITTED


@pytest.mark.rules("NullsAreWritten")
def test_a_value_that_is_gone_does_not_show_through(daemons: Two) -> None:
    one, _ = daemons
    for note in ("first", None):
        group_id, timestamp = one.take(NEAR)
        one.commit(group_id, timestamp, [items([(1, "a", note)])])
        one.finish(group_id)
    assert one.item(1) == ("a", None)


@pytest.mark.rules("LastIsKept")
def test_what_was_written_outside_of_a_batch_is_earlier_than_the_next_one(daemons: Two) -> None:
    one, other = daemons
    group_id, timestamp = one.take(NEAR)
    one.leases.hold(group_id, [NEAR], timestamp + 7)
    one.groups.abort(group_id)
    one.finish(group_id)
    _, first = other.take(NEAR)
    assert first == timestamp + 8
    with pytest.raises(FencedError):
        one.leases.hold(group_id, [NEAR], timestamp + 9)


@pytest.mark.rules("OnlyLWT")
def test_an_abort_that_comes_late_changes_nothing(daemons: Two) -> None:
    one, late = daemons
    group_id, timestamp = one.take(NEAR)
    one.commit(group_id, timestamp, [items([(1, "a", None)])])
    assert late.groups.abort(group_id) is State.COMMITTED
    late.add(1, "b", NEAR)
    assert late.item(1) == ("ab", None)


@pytest.mark.rules("IntentsStay")
def test_a_batch_that_was_stored_long_ago_counts(daemons: Two) -> None:
    one, other = daemons
    batch = BatchRevision(1, 2, 3)
    group_id, timestamp = one.take(NEAR)
    one.claims.claim(entry(batch), group_id)
    one.commit(group_id, timestamp, [])
    one.finish(group_id)
    assert other.claims.counts(batch)


@pytest.mark.rules("SortedLeases")
def test_cells_are_taken_in_ascending_order(daemons: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = daemons
    decide_together, taken = one.connection.decide_together, list[object]()

    def recorded(statements: list[tuple[str, tuple[object, ...]]]) -> bool:
        taken.append(statements[0][1][2])
        return decide_together(statements)

    monkeypatch.setattr(one.connection, "decide_together", recorded)
    one.take(FAR, NEAR)
    assert taken == [NEAR, FAR]


@pytest.mark.rules("PlanHasToken")
def test_a_plan_that_is_written_late_covers_no_other(daemons: Two) -> None:
    sleeper, other = daemons
    late, _ = sleeper.take(NEAR)
    group_id, timestamp = other.take(NEAR)
    other.commit(group_id, timestamp, [items([(1, "b", None)])])
    sleeper.plans.write(late, encode([items([(1, "a", None)])]))
    other.finish(group_id)
    assert other.item(1) == ("b", None)


def test_a_batch_counts_with_one_group(daemons: Two) -> None:
    one, other = daemons
    batch = BatchRevision(2**40, 188, 0)
    first, timestamp = one.take(NEAR)
    second, _ = other.take(FAR)
    one.claims.claim(entry(batch), first)
    one.claims.claim(entry(batch), first)
    assert not other.claims.counts(batch)
    one.commit(first, timestamp, [])
    assert other.claims.counts(batch)
    with pytest.raises(LedgerConflictError):
        other.claims.claim(entry(batch), second)


@pytest.mark.rules("ClaimPassesWhenAborted")
def test_a_claim_passes_only_from_a_group_that_can_never_commit(daemons: Two) -> None:
    slow, other = daemons
    batch = BatchRevision(1, 2, 3)
    first, timestamp = slow.take(NEAR)
    second, later = other.take(FAR)
    slow.claims.claim(entry(batch), first)
    other.claims.claim(entry(batch), second)
    with pytest.raises(FencedError):
        slow.commit(first, timestamp, [])
    other.commit(second, later, [])
    assert slow.claims.counts(batch)
