"""One open APDB on Cassandra, as its sessions and readers share it."""

from dataclasses import dataclass

from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.claims import Claims
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.notices import Notices
from stream_assoc.stores.apdb.cassandra.outbox import Outbox
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.plans import Plans
from stream_assoc.stores.apdb.cassandra.replica_holds import ReplicaHolds
from stream_assoc.stores.apdb.cassandra.rows_of_objects import RowsOfObjects
from stream_assoc.stores.apdb.cassandra.source_claims import SourceClaims
from stream_assoc.stores.apdb.replication import Replication


@dataclass(frozen=True, slots=True)
class Database:
    """What reads and writes the tables.

    Attributes
    ----------
    connection : `Connection`
    places : `Places`
        Where rows are.
    groups, claims, source_claims, leases, plans, applier
        The protocol.
    outbox : `Outbox`
    rows : `RowsOfObjects`
    notices : `Notices`
        What other programs have changed.
    tile_level, cell_level : `int`
        HTM levels of the tiles and cells.
    flag_columns : `tuple` [`str`, ...]
        DiaSource flags any of which makes a source count as flagged.
    lock_seconds : `float`
        How long to wait for cells that others hold.
    replication : `Replication` or `None`
        How rows are noted for replicas; `None` when replication is off.
    holds : `ReplicaHolds` or `None`
        What keeps replicas from what is not applied, likewise.
    n_subchunks : `int`
        Partitions of a replica chunk.
    """

    connection: Connection
    places: Places
    groups: Groups
    claims: Claims
    source_claims: SourceClaims
    leases: Leases
    plans: Plans
    applier: Applier
    outbox: Outbox
    rows: RowsOfObjects
    notices: Notices
    tile_level: int
    cell_level: int
    flag_columns: tuple[str, ...]
    lock_seconds: float
    replication: Replication | None
    holds: ReplicaHolds | None
    n_subchunks: int

    @property
    def tile_shift(self) -> int:
        """Bits between the index of a tile and that of its cell."""
        return 2 * (self.tile_level - self.cell_level)
