"""Ending the sessions that are under way when the sky is divided anew: nobody would look for their cells again."""

import uuid
from collections import defaultdict

from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.leases import Leases
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
    groups = Groups(connection)
    applier = Applier(connection, groups)
    leases = Leases(
        connection, groups, applier, tile_shift=tile_shift, patience_seconds=DEFAULT_PATIENCE.lock_seconds
    )
    held: dict[uuid.UUID, list[int]] = defaultdict(list)
    for cell, holder in connection.read(f'SELECT cell, holder FROM "{LEASE}"'):
        if holder is not None:
            held[holder].append(cell)
    for group_id in {*held, *applier.unfinished()}:
        groups.abort(group_id)
        leases.clear(group_id, held.get(group_id, ()))
        applier.forget(group_id)
