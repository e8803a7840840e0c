"""Rules about other writers and nodes, left out."""

import math
from types import SimpleNamespace
from typing import Any, Final

import pytest
from cassandra import ConsistencyLevel

from stream_assoc.stores.apdb.cassandra import applier, clocks, connection, noticing, requests
from stream_assoc.stores.apdb.cassandra.notices import Notices
from stream_assoc.stores.apdb.cassandra.replica_holds import ReplicaHolds
from stream_assoc.stores.apdb.cassandra.session import CassandraSession
from stream_assoc.stores.apdb.cassandra.update_log import UpdateLog, UpdateRecord
from stream_assoc.tools.tuning import ring_harm

Patch = pytest.MonkeyPatch


def above_writetime(patch: Patch) -> None:
    """Nobody looks at when a row was written."""
    timestamp = CassandraSession._timestamp
    patch.setattr(CassandraSession, "_timestamp", lambda session, *_: timestamp(session))


def clock_is_bounded(patch: Patch) -> None:
    """A client may have any clock."""
    patch.setattr(clocks, "MAX_SECONDS", math.inf)


def records_are_read(patch: Patch) -> None:
    """Nobody reads the records of other programs."""
    patch.setattr(Notices, "of", Notices.read)


def records_by_name(patch: Patch) -> None:
    """A record is new if it is later than all that were seen."""
    new_records = UpdateLog.new_records

    def by_time(log: UpdateLog) -> list[UpdateRecord]:
        last = max((name[0] for name in log._seen), default=0)
        return [record for record in new_records(log) if record.name[0] > last]

    patch.setattr(UpdateLog, "new_records", by_time)


def records_are_applied_again(patch: Patch) -> None:
    """What a record says is taken for done."""
    patch.setattr(noticing, "_closed", lambda *_: iter(()))


def looks_again(patch: Patch) -> None:
    """Nobody looks for records before the commit."""
    patch.setattr(CassandraSession, "_seen_notices", lambda _: [])


def holds_behind_unapplied(patch: Patch) -> None:
    """A chunk is released as soon as it is over."""
    init: Any = ReplicaHolds.__init__
    nobody = SimpleNamespace(unfinished=dict)
    patch.setattr(ReplicaHolds, "__init__", lambda holds, connection, _, now: init(holds, connection, nobody, now))


def holds_behind_preparing(patch: Patch) -> None:
    """Nothing is held before the commit."""
    patch.setattr(ReplicaHolds, "hold", lambda *_: None)


def sync_before_acknowledging(patch: Patch) -> None:
    """Nobody asks nodes how they sync."""
    patch.setattr(ring_harm, "_of_nodes", lambda _: iter(()))


def quorum(patch: Patch) -> None:
    """One node is enough."""
    levels = SimpleNamespace(QUORUM=ConsistencyLevel.ONE, SERIAL=ConsistencyLevel.SERIAL)
    for module in (connection, requests):
        patch.setattr(module, "ConsistencyLevel", levels)


def applying_stops(patch: Patch) -> None:
    """A plan may be applied for ever."""
    patch.setattr(applier, "APPLYING_SECONDS", math.inf)


MUTATIONS: Final = {
    "AboveWritetime": above_writetime,
    "ClockIsBounded": clock_is_bounded,
    "RecordsAreRead": records_are_read,
    "RecordsByName": records_by_name,
    "RecordsAreAppliedAgain": records_are_applied_again,
    "LooksAgain": looks_again,
    "HoldsBehindUnapplied": holds_behind_unapplied,
    "HoldsBehindPreparing": holds_behind_preparing,
    "SyncBeforeAcknowledging": sync_before_acknowledging,
    "Quorum": quorum,
    "ApplyingStops": applying_stops,
}
