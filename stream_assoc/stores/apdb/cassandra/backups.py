"""`ApdbBackups` on Cassandra: snapshots of nodes, and the plans that put together what snapshots have torn."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from stream_assoc.stores.apdb.backups import BackupPart
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import METADATA, read_report, read_tables
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups, State
from stream_assoc.stores.apdb.cassandra.plans import Plans
from stream_assoc.stores.apdb.cassandra.restoring import Restoring
from stream_assoc.stores.apdb.cassandra.tables import GROUP, LEASE, LEDGER, PLAN
from stream_assoc.stores.apdb.notes import cell_level_of, tile_level_of
from stream_assoc.stores.apdb.patience import Patience

_AFTER_ROWS: Final = (("leases", LEASE), ("groups", GROUP), ("ledger", LEDGER), ("plans", PLAN))
"""Each of these tables is copied after those that name something in it, or that it has to know of.

Leases tell up to which group they know; a group that counts has its claims and its plan.
"""


class CassandraBackups:
    """`ApdbBackups` of a keyspace.

    Parameters
    ----------
    url : `CassandraUrl`
    patience : `Patience`
        How long to wait for the ring.
    """

    def __init__(self, url: CassandraUrl, patience: Patience) -> None:
        self._url = url
        self._patience = patience

    def parts(self) -> list[BackupPart]:
        """See `ApdbBackups.parts`."""
        with closing(self._connect()) as connection:
            last = [table for _, table in _AFTER_ROWS]
            # What `apdb init` writes into a new keyspace is not copied into it.
            rows = sorted(table for table in read_tables(connection) if table not in (*last, METADATA))
            others = [BackupPart(name, connection.keyspace, (table,)) for name, table in _AFTER_ROWS]
            return [BackupPart("rows", connection.keyspace, tuple(rows)), *others]

    def begin(self) -> int:
        """See `ApdbBackups.begin`."""
        with closing(self._connect()) as connection:
            groups = Groups(connection)
            # All names before the first state: of two groups of one cell the later one has a plan only once the
            # earlier one is applied. So none is marked whose predecessor is not.
            return sum(groups.retire(group_id) for group_id in _with_plans(connection))

    def end(self) -> int:
        """See `ApdbBackups.end`."""
        with closing(self._connect()) as connection:
            groups, plans = Groups(connection), Plans(connection)
            n_deleted = 0
            for group_id in _with_plans(connection):
                state = groups.read(group_id).state
                if state in (State.RETIRED, State.ABORTED):
                    plans.delete(group_id)
                n_deleted += state is State.RETIRED
            return n_deleted

    def apply_plans(self) -> Iterator[int]:
        """See `ApdbBackups.apply_plans`."""
        with closing(self._connect()) as connection:
            partition = read_report(connection).partition
            tile_level, cell_level = tile_level_of(partition), cell_level_of(partition)
            restoring = Restoring(connection, tile_shift=2 * (tile_level - cell_level))
            restoring.abort_missing()
            # A new identity, and nobody holds a cell any more.
            self._url.administration().repartition(tile_level=tile_level, cell_level=cell_level)
            yield from restoring.apply_all()

    def _connect(self) -> Connection:
        return self._url.connect(self._patience)


def _with_plans(connection: Connection) -> list[uuid.UUID]:
    """Return the groups that have plans."""
    return [group_id for (group_id,) in connection.read(f'SELECT DISTINCT group_id FROM "{PLAN}"')]
