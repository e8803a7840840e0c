"""Rules of intents and leases, left out."""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import pytest

from stream_assoc.stores.apdb.cassandra import applier as applier_module
from stream_assoc.stores.apdb.cassandra import groups as groups_module
from stream_assoc.stores.apdb.cassandra import leases as leases_module
from stream_assoc.stores.apdb.cassandra.groups import Commitment, Group, Groups, State
from stream_assoc.stores.apdb.cassandra.leases import Lease, Leases, Watch
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.renewal import Renewal
from stream_assoc.stores.apdb.cassandra.requests import Write
from stream_assoc.stores.apdb.cassandra.session import CassandraSession, time_now
from stream_assoc.stores.apdb.cassandra.tables import GROUP
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError

Patch = pytest.MonkeyPatch


def fence(patch: Patch) -> None:
    """A lease passes from a group that prepares, as if it were aborted."""
    _pass_from(patch, State.PREPARING, lambda group: group)


def roll_forward(patch: Patch) -> None:
    """It passes from a committed group before that is applied."""
    _pass_from(patch, State.COMMITTED, lambda group: group)


def taker_raises_too(patch: Patch) -> None:
    """It passes from an applied group as from an aborted one, which raises no version."""
    _pass_from(patch, State.APPLIED, lambda group: replace(group, state=State.ABORTED))


def _pass_from(patch: Patch, state: State, seen_as: Callable[[Group], Group]) -> None:
    clear_abandoned = Leases.clear_abandoned

    def passes(leases: Leases, holder: uuid.UUID, cells: Iterable[int]) -> bool:
        group = leases._groups.read(holder)
        if group.state is not state:
            return clear_abandoned(leases, holder, cells)
        leases.pass_on(seen_as(group), cells)
        return True

    patch.setattr(Leases, "clear_abandoned", passes)


def commit_if_mine(patch: Patch) -> None:
    """The commit has no condition."""
    patch.setattr(groups_module, "_COMMIT", groups_module._COMMIT.replace("IF state = 'preparing'", "IF EXISTS"))


def only_lwt(patch: Patch) -> None:
    """Groups are aborted by a plain write."""

    def abort(groups: Groups, group_id: uuid.UUID) -> State:
        groups._connection.write(f"UPDATE \"{GROUP}\" SET state = 'aborted' WHERE group_id = ?", group_id)
        return State.ABORTED

    patch.setattr(Groups, "abort", abort)


def doubt_ends_by_lwt(patch: Patch) -> None:
    """A commit without an answer has failed if a read says so."""
    commit = Groups.commit

    def believes_a_read(groups: Groups, group_id: uuid.UUID, commitment: Commitment) -> None:
        with Patch.context() as within:
            within.setattr(groups, "abort", lambda group_id: groups.read(group_id).state)
            commit(groups, group_id, commitment)

    patch.setattr(Groups, "commit", believes_a_read)


def intents_stay(patch: Patch) -> None:
    """A group is deleted once it is applied and its cells are free."""
    pass_on = Leases.pass_on

    def and_forget(leases: Leases, group: Group, cells: Iterable[int] = ()) -> None:
        pass_on(leases, group, cells)
        if group.state is State.APPLIED:
            leases._connection.decide(f'DELETE FROM "{GROUP}" WHERE group_id = ? IF EXISTS', group.group_id)

    patch.setattr(Leases, "pass_on", and_forget)


def missing_is_fatal(patch: Patch) -> None:
    """A group that is not there counts as aborted."""
    read = Groups.read

    def read_or_aborted(groups: Groups, group_id: uuid.UUID) -> Group:
        try:
            return read(groups, group_id)
        except ApdbDamagedError:
            return Group(group_id, State.ABORTED, 0, (0,), None)

    patch.setattr(Groups, "read", read_or_aborted)


def timestamps_grow(patch: Patch) -> None:
    """A batch is written at the time of its client."""
    patch.setattr(CassandraSession, "_timestamp", lambda *_: time_now())


def last_is_kept(patch: Patch) -> None:
    """A lease does not know the last timestamp of its cell."""
    lease = leases_module._lease

    def forgetful(row: tuple[object, ...]) -> Lease:
        return replace(lease(row), last_timestamp=0)

    patch.setattr(leases_module, "_lease", forgetful)


def derived_timestamps(patch: Patch) -> None:
    """Rows are written at the time when they are applied."""
    write_of = applier_module.write_of

    def at_this_time(change: Change, _timestamp: int) -> Write:
        return write_of(change, time.time_ns() // 1000)

    patch.setattr(applier_module, "write_of", at_this_time)


def patience_is_counted(patch: Patch) -> None:
    """A group is given up after a time, whatever its counter does."""

    def is_abandoned(watch: Watch, group_id: uuid.UUID, _counter: int) -> bool:
        now = watch._monotonic()
        _, since = watch._seen.setdefault(group_id, (0, now))
        return now - since > watch._patience_seconds

    patch.setattr(Watch, "is_abandoned", is_abandoned)


def holder_renews(patch: Patch) -> None:
    """Nobody raises a counter."""
    patch.setattr(Renewal, "_run", lambda _: None)


def dead_are_aborted(patch: Patch) -> None:
    """No group is given up."""
    patch.setattr(Watch, "is_abandoned", lambda *_: False)


def sorted_leases(patch: Patch) -> None:
    """Cells are taken in the order in which they are named, and waited for in any order."""
    take = Leases.take

    def patient(leases: Leases, group_id: uuid.UUID, cells: Iterable[int], wait_seconds: float) -> dict[int, Lease]:
        return take(leases, group_id, cells, wait_seconds or 60.0)

    patch.setattr(leases_module, "sorted", list, raising=False)
    patch.setattr(Leases, "take", patient)


MUTATIONS: Final = {
    "Fence": fence,
    "RollForward": roll_forward,
    "CommitIfMine": commit_if_mine,
    "OnlyLWT": only_lwt,
    "DoubtEndsByLWT": doubt_ends_by_lwt,
    "IntentsStay": intents_stay,
    "MissingIsFatal": missing_is_fatal,
    "TimestampsGrow": timestamps_grow,
    "LastIsKept": last_is_kept,
    "DerivedTimestamps": derived_timestamps,
    "PatienceIsCounted": patience_is_counted,
    "HolderRenews": holder_renews,
    "DeadAreAborted": dead_are_aborted,
    "SortedLeases": sorted_leases,
    "TakerRaisesToo": taker_raises_too,
}
