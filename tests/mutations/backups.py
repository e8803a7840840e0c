"""Rules of backups, left out."""

from typing import Final

import pytest

from stream_assoc.stores.apdb.backups import BackupPart
from stream_assoc.stores.apdb.cassandra.backups import CassandraBackups
from stream_assoc.stores.apdb.cassandra.groups import Groups

Patch = pytest.MonkeyPatch


def plans_are_kept(patch: Patch) -> None:
    """Whatever has a plan may lose it when a backup ends."""
    retire = "UPDATE \"StreamAssocGroup\" SET state = 'retired' WHERE group_id = ? IF EXISTS"
    patch.setattr(Groups, "retire", lambda groups, group_id: groups._connection.decide(retire, group_id))


def _ordered(patch: Patch, *names: str) -> None:
    parts = CassandraBackups.parts

    def in_this_order(backups: CassandraBackups) -> list[BackupPart]:
        return sorted(parts(backups), key=lambda part: names.index(part.name))

    patch.setattr(CassandraBackups, "parts", in_this_order)


def intents_after_rows(patch: Patch) -> None:
    """The rows are copied after the intents."""
    _ordered(patch, "leases", "groups", "ledger", "rows", "plans")


def plans_after_intents(patch: Patch) -> None:
    """The plans are copied before the intents."""
    _ordered(patch, "rows", "plans", "leases", "groups", "ledger")


MUTATIONS: Final = {
    "PlansAreKept": plans_are_kept,
    "IntentsAfterRows": intents_after_rows,
    "PlansAfterIntents": plans_after_intents,
}
