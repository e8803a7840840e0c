"""Rules of groups and plans, left out."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Final

import pyarrow as pa
import pytest

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.cassandra import applier as applier_module
from stream_assoc.stores.apdb.cassandra import plan_rows
from stream_assoc.stores.apdb.cassandra import session as session_module
from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.claims import Claims
from stream_assoc.stores.apdb.cassandra.plans import Change, Plan, Plans
from stream_assoc.stores.apdb.cassandra.requests import Request, Write
from stream_assoc.stores.apdb.cassandra.session import CassandraSession
from stream_assoc.stores.apdb.cassandra.source_claims import SourceClaims
from stream_assoc.stores.apdb.cassandra.stored_versions import StoredVersions
from stream_assoc.stores.apdb.rows.written import StoreRows
from tests.mutations.aborts import as_aborted, claims_by

Patch = pytest.MonkeyPatch
ONE_FOR_ALL: Final = uuid.UUID(int=0)


def one_commit(patch: Patch) -> None:
    """Each batch of a session is committed by itself."""
    commit = CassandraSession.commit

    def one_by_one(session: CassandraSession, changes: Sequence[BatchChanges]) -> IntArray:
        for change in changes:
            session.is_committed = False
            versions = commit(session, [change])
        return versions

    patch.setattr(CassandraSession, "commit", one_by_one)


def claim_passes_when_aborted(patch: Patch) -> None:
    """A batch is claimed whatever the group that has claimed it does."""
    claims_by(patch, Claims, as_aborted)


def sorted_claims(patch: Patch) -> None:
    """Batches are claimed in the order in which they come."""
    patch.setattr(session_module, "sorted", lambda items, key=None: list(items), raising=False)


def claims_before_leases(patch: Patch) -> None:
    """Further cells are taken when the batches are claimed: not all daemons have one order."""
    hold, claim, owed = CassandraSession._hold_too, SourceClaims.claim, list[tuple[CassandraSession, StoreRows]]()

    def later(claims: SourceClaims, diaSourceId: IntArray, group_id: uuid.UUID) -> None:
        while owed:
            hold(*owed.pop())
        claim(claims, diaSourceId, group_id)

    patch.setattr(CassandraSession, "_hold_too", lambda session, rows: owed.append((session, rows)))
    patch.setattr(SourceClaims, "claim", later)


def plan_has_token(patch: Patch) -> None:
    """All plans are kept in one place."""
    write, read = Plans.write, Plans.read
    patch.setattr(Plans, "write", lambda self, _, plan: write(self, ONE_FOR_ALL, plan))
    patch.setattr(Plans, "read", lambda self, _, *known: read(self, ONE_FOR_ALL, *known))


def count_and_digest(patch: Patch) -> None:
    """What is found of a plan is taken for all of it."""

    class Anything(bytes):
        def __eq__(self, _other: object) -> bool:
            return True

        def __ne__(self, _other: object) -> bool:
            return False

        __hash__ = bytes.__hash__

    read = Plans.read
    patch.setattr(Plans, "read", lambda self, group_id, n_chunks, _: read(self, group_id, n_chunks, Anything()))


def plan_before_commit(patch: Patch) -> None:
    """The plan is written when it is applied."""
    write, apply_requests, owed = Plans.write, Applier.apply_requests, list[tuple[Plans, uuid.UUID, Plan]]()

    def and_plan(applier: Applier, group_id: uuid.UUID, requests: Sequence[Request]) -> None:
        while owed:
            write(*owed.pop())
        apply_requests(applier, group_id, requests)

    patch.setattr(Plans, "write", lambda *plan: owed.append(plan))
    patch.setattr(Applier, "apply_requests", and_plan)


def key_once(patch: Patch) -> None:
    """An object that has a new version leaves DiaObjectLast, and enters it."""
    leave = plan_rows._leave_last

    def always(superseded: IntArray, stored: StoredVersions, _last: Mapping[int, int]) -> Iterator[Change]:
        return leave(superseded, stored, {})

    patch.setattr(plan_rows, "_leave_last", always)


def keys_from_plan(patch: Patch) -> None:
    """Whoever applies a plan draws the replica subchunk of its rows."""
    numbers = count()

    def drawn(change: Change) -> Change:
        name = "apdb_replica_subchunk"
        if not change.table.endswith("Chunks2") or name not in change.rows.column_names:
            return change
        place = change.rows.column_names.index(name)
        column = pa.array([next(numbers) % 64] * change.rows.num_rows, change.rows.column(name).type)
        return replace(change, rows=change.rows.set_column(place, name, column))

    _write_changed(patch, drawn)


def nulls_are_written(patch: Patch) -> None:
    """A column without a value is left alone."""
    _write_changed(patch, lambda change: replace(change, overwrites=False))


def _write_changed(patch: Patch, changed: Any) -> None:
    write_of = applier_module.write_of

    def other(change: Change, timestamp: int) -> Write:
        return write_of(changed(change), timestamp)

    patch.setattr(applier_module, "write_of", other)


MUTATIONS: Final = {
    "OneCommit": one_commit,
    "ClaimPassesWhenAborted": claim_passes_when_aborted,
    "SortedClaims": sorted_claims,
    "ClaimsBeforeLeases": claims_before_leases,
    "PlanHasToken": plan_has_token,
    "CountAndDigest": count_and_digest,
    "PlanBeforeCommit": plan_before_commit,
    "KeyOnce": key_once,
    "KeysFromPlan": keys_from_plan,
    "NullsAreWritten": nulls_are_written,
}
