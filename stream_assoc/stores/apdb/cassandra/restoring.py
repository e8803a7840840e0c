"""After a restore: what snapshots have torn is put together again.

The snapshots are of different moments: rows, then leases, then groups, the
ledger, and plans. So a group that counts has its claims and its plan; the rows
may lack some of its rows, and leases may not know of it yet.
"""

import uuid
from collections.abc import Iterable, Iterator
from typing import Final

from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups, State
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.tables import GROUP, LEASE, LEDGER
from stream_assoc.stores.apdb.cassandra.whole_tables import STRETCHES, token_stretches
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE

_CLAIMED: Final = f'SELECT group_id FROM "{LEDGER}" WHERE token(visit, detector) > ? AND token(visit, detector) <= ?'
_HELD: Final = f'SELECT holder FROM "{LEASE}" WHERE token(region) > ? AND token(region) <= ?'
_THERE: Final = f'SELECT group_id FROM "{GROUP}" WHERE group_id IN ?'
_ALL: Final = f'SELECT group_id, state, timestamp FROM "{GROUP}" WHERE token(group_id) > ? AND token(group_id) <= ?'


class Restoring:
    """Works on a keyspace that snapshots were copied into, and that no daemon writes to.

    Parameters
    ----------
    connection : `Connection`
    tile_shift : `int`
        Bits between the index of a tile and that of its cell.
    """

    def __init__(self, connection: Connection, *, tile_shift: int) -> None:
        self._connection = connection
        self._groups = Groups(connection)
        self._applier = Applier(connection, self._groups)
        self._leases = Leases(
            connection,
            self._groups,
            self._applier,
            tile_shift=tile_shift,
            patience_seconds=DEFAULT_PATIENCE.lock_seconds,
        )

    def abort_missing(self) -> None:
        """Abort the groups that the ledger or a lease names and that began after the groups were copied."""
        stretches = token_stretches(STRETCHES)
        for statement in (_CLAIMED, _HELD):
            for page in self._connection.pages(statement, stretches):
                named = {group_id for (group_id,) in page if group_id is not None}
                for group_id in named - self._there(named):
                    self._groups.note_aborted(group_id)

    def apply_all(self) -> Iterator[int]:
        """Abort what prepares, and apply all groups that count and have plans, in their order; yield how many."""
        counting: list[tuple[int, uuid.UUID]] = []
        for page in self._connection.pages(_ALL, token_stretches(STRETCHES)):
            for group_id, state, timestamp in page:
                if State(state) is State.PREPARING:
                    self._groups.abort(group_id)
                elif State(state) in (State.COMMITTED, State.APPLIED):
                    counting.append((timestamp, group_id))
        for number, (_, group_id) in enumerate(sorted(counting), 1):
            group = self._groups.read(group_id)
            self._applier.apply(group)
            self._leases.catch_up(self._groups.read(group_id))
            yield number

    def _there(self, group_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
        return {group_id for (group_id,) in self._connection.read_in(_THERE, list(group_ids))}
