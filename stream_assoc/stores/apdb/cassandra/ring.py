"""Asking a ring what it is set to."""

from collections.abc import Mapping
from contextlib import closing
from typing import Final

from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import Layout, read_layout, read_tables
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.ring import ApdbRing

VISITS: Final = "ApdbVisitDetector"
"""dax_apdb's table of visits that it has begun, which it makes for a day."""


def read_ring(url: CassandraUrl, patience: Patience) -> ApdbRing:
    """Return what the ring that holds an APDB tells of itself.

    Raises
    ------
    ApdbError
        If it cannot be reached, or holds no APDB.
    """
    with closing(url.connect(patience)) as connection:
        layout = read_layout(connection)
        rows = connection.read_of_each_node("SELECT name, value FROM system_views.settings")
        ((durable_writes,),) = connection.read(
            "SELECT durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?", url.keyspace
        )
        tables = {name: options for name, options in read_tables(connection).items() if name != VISITS}
        return ApdbRing(
            replication_factors=read_replication(connection, url.keyspace),
            has_durable_writes=durable_writes,
            settings={node: {name: value for name, value in said if value} for node, said in rows.items()},
            lives_of_tables={name: one.time_to_live for name, one in tables.items() if one.time_to_live},
            gc_graces={name: one.gc_grace for name, one in tables.items()},
            time_partitions_end=_end_of(layout),
        )


def read_replication(connection: Connection, keyspace: str) -> Mapping[str, int]:
    """Return how many nodes of each data center keep a row; none if there is no such keyspace."""
    rows = connection.read("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace)
    return {name: int(value) for (one,) in rows for name, value in one.items() if value.isdecimal()}


def _end_of(layout: Layout) -> float | None:
    if layout.time_partitions is None:
        return None
    return MJD_OF_UNIX_EPOCH + layout.time_partitions.stop * layout.time_partition_days
