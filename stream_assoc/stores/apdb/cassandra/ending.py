"""Ending sessions without waiting for their daemons.

When the sky is divided anew all of them, for nobody would look for their cells again; and those that keep replicas
from a chunk that is over.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping

from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.replica_holds import ReplicaHolds, is_over
from stream_assoc.stores.apdb.cassandra.tables import LEASE
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE


def end_sessions(connection: Connection, tile_shift: int) -> None:
    """Abort the groups that prepare, apply those that are committed, and free all cells.

    A session that holds cells is found here, and can never commit. One that takes cells later reads the notes
    once it has them, and finds those that are written now.

    Parameters
    ----------
    connection : `Connection`
    tile_shift : `int`
        Bits between the index of a tile and that of its cell, as the sky was divided before.
    """
    held: dict[uuid.UUID, list[int]] = defaultdict(list)
    for cell, holder in connection.read(f'SELECT cell, holder FROM "{LEASE}"'):
        if holder is not None:
            held[holder].append(cell)
    applier = Applier(connection, Groups(connection))
    _end(connection, {group_id: held.get(group_id, ()) for group_id in {*held, *applier.unfinished()}}, tile_shift)


def release_chunks(connection: Connection, tile_shift: int, now: float) -> list[int]:
    """End the groups that keep replicas from chunks that are over; return the chunks that are still held.

    Parameters
    ----------
    connection : `Connection`
    tile_shift : `int`
        Bits between the index of a tile and that of its cell.
    now : `float`
        Seconds since 1970.
    """
    applier = Applier(connection, Groups(connection))
    waiting = applier.unfinished().items()
    _end(connection, {one: () for one, chunk in waiting if chunk is not None and is_over(chunk, now)}, tile_shift)
    return ReplicaHolds(connection, applier, lambda: now).release()


def _end(connection: Connection, groups_and_cells: Mapping[uuid.UUID, Iterable[int]], tile_shift: int) -> None:
    """Abort groups, or apply those that are committed, and free their cells and these."""
    groups = Groups(connection)
    applier = Applier(connection, groups)
    leases = Leases(
        connection, groups, applier, tile_shift=tile_shift, patience_seconds=DEFAULT_PATIENCE.lock_seconds
    )
    for group_id, cells in groups_and_cells.items():
        groups.abort(group_id)
        leases.clear(group_id, cells)
        applier.forget(group_id)
