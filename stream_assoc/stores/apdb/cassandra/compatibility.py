"""Whether a keyspace is an APDB that this package may write to, and how dax_apdb has laid it out.

``lsst.dax.apdb`` makes the same checks, but importing it costs seconds that a
daemon's start does not have.
"""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream_assoc.core.model.further_statistics import TABLE as FURTHER
from stream_assoc.stores.apdb.backend import ApdbReport
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.tables import DEFINITIONS
from stream_assoc.stores.apdb.columns import check_columns
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import (
    INIT_REMEDY,
    SCHEMA_VERSION_KEY,
    check_schema_version,
    frozen_configuration,
    numbers,
    report_of,
)

OUR_VERSION: Final = "1.1.0"
"""The version of our tables that this installation writes; on Cassandra they are others than in an SQL database."""
OUR_TABLES: Final = (*DEFINITIONS, FURTHER)

METADATA: Final = "metadata"
"""dax_apdb's table of what it knows of itself, and of our notes."""
CONFIGURATION_KEY: Final = "config:apdb-cassandra.json"
TIME_PARTITIONS_KEY: Final = "config:time-partition-range.json"
COPY_KEY: Final = "stream_assoc:copy"
"""How far a copy into the keyspace has come; see `~stream_assoc.stores.apdb.cassandra.copying`."""
DAX_VERSION_KEY: Final = "version:ApdbCassandra"
REPLICA_VERSION_KEY: Final = "version:ApdbCassandraReplica"

DAX_VERSION: Final = "1.3.0"
"""The version of dax_apdb's tables on Cassandra that is written here: the first with a table of deduplication."""
REPLICA_VERSION: Final = (1, 1, 1)
"""That of its replica tables: the first with a table of update records."""

TIME_PARTITIONED: Final = ("DiaObject", "DiaSource", "DiaForcedSource")
"""Tables of which each time partition may have one of its own."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What dax_apdb has fixed when the APDB was created, as far as it matters to whoever writes rows.

    Attributes
    ----------
    pixelization : `str`
        How ``apdb_part`` divides the sky: ``mq3c``, ``q3c``, ``htm`` or ``healpix``.
    pixelization_level : `int`
        And at which level.
    time_partition_days : `int`
        Length of an ``apdb_time_part``, days since 1970 TAI.
    time_partitions : `range` or `None`
        The time partitions that have tables of their own; `None` where all are in one table.
    n_subchunks : `int`
        Partitions of a replica chunk.
    n_dedup_partitions : `int`
        Partitions of DiaObjectDedup.
    replication : `bool`
        Whether rows are noted for replicas.
    replica_skips_dia_objects : `bool`
        Whether there is no table DiaObject, because the replica chunks have the same rows.
    """

    pixelization: str
    pixelization_level: int
    time_partition_days: int
    time_partitions: range | None
    n_subchunks: int
    n_dedup_partitions: int
    replication: bool
    replica_skips_dia_objects: bool

    @property
    def has_dia_objects(self) -> bool:
        """Whether there is a table DiaObject."""
        return not (self.replication and self.replica_skips_dia_objects)


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What the ring tells of a table.

    Attributes
    ----------
    table_id : `uuid.UUID`
        The ring's own name of it; a table that is made again gets another one.
    time_to_live : `int`
        After how many seconds rows vanish; 0: never.
    gc_grace : `int`
        How many seconds it is kept in mind that a row was deleted.
    """

    table_id: uuid.UUID
    time_to_live: int
    gc_grace: int


def read_notes(connection: Connection) -> dict[str, str]:
    """Return the rows of the table ``metadata``: dax_apdb's and ours.

    Raises
    ------
    ApdbSchemaError
        If there is no such table.
    """
    return dict(connection.read_serial(f"SELECT name, value FROM {METADATA} WHERE meta_part = 0"))


def read_tables(connection: Connection) -> dict[str, TableOptions]:
    """Return all tables of the keyspace, by name."""
    rows = connection.read(
        "SELECT table_name, id, default_time_to_live, gc_grace_seconds FROM system_schema.tables "
        "WHERE keyspace_name = ?",
        connection.keyspace,
    )
    return {name: TableOptions(*options) for name, *options in rows}


def read_columns(connection: Connection) -> dict[str, frozenset[str]]:
    """Return the columns of each table of the keyspace."""
    rows = connection.read(
        "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = ?", connection.keyspace
    )
    columns: dict[str, set[str]] = {}
    for table, column in rows:
        columns.setdefault(table, set()).add(column)
    return {table: frozenset(names) for table, names in columns.items()}


def read_layout(connection: Connection) -> Layout:
    """Return how dax_apdb has laid out its tables.

    Raises
    ------
    ApdbSchemaError
        If the keyspace holds no APDB, or one that cannot be written.
    """
    return layout_of(read_notes(connection))


def read_report(connection: Connection) -> ApdbReport:
    """Return what the database is, or tell what keeps this package from using it.

    Its identity holds the ring's own name of the table ``metadata``, so that a
    copy of the rows in another keyspace or ring is another database.

    Raises
    ------
    ApdbSchemaError
        If it is no APDB, of another version, without our tables, or copied in part.
    """
    report = read_report_of_any(connection)
    if COPY_KEY in (notes := read_notes(connection)) and not json.loads(notes[COPY_KEY])["is_whole"]:
        raise ApdbSchemaError(
            f"the keyspace {connection.keyspace} holds a part of a copy: run `stream-assoc apdb copy` again, which "
            "goes on with it, or begin anew by `stream-assoc apdb init --drop`"
        )
    return report


def read_report_of_any(connection: Connection) -> ApdbReport:
    """Return what `read_report` returns, also of an APDB that is copied in part."""
    tables = read_tables(connection)
    if METADATA not in tables:
        raise no_apdb(connection.keyspace, tables)
    notes = read_notes(connection)
    layout = layout_of(notes)
    lost = [table for table in OUR_TABLES if table not in tables]
    return report_of(notes, lost, OUR_VERSION, replication=layout.replication).of_copy(tables[METADATA].table_id.hex)


def check_room(connection: Connection, layout: Layout, statistics: Collection[str]) -> None:
    """Tell whether a row would lose a value when it is stored.

    Parameters
    ----------
    connection : `Connection`
    layout : `Layout`
    statistics : collection of `str`
        Columns of plugins of other packages that will be written.

    Raises
    ------
    ApdbSchemaError
        If a table lacks a column of what this installation writes.
    """
    columns = read_columns(connection)
    if layout.time_partitions:
        # All are made alike, and the last one most lately.
        last = layout.time_partitions[-1]
        columns |= {table: columns.get(f"{table}_{last}", frozenset()) for table in TIME_PARTITIONED}
    if not layout.has_dia_objects:
        columns["DiaObject"] = columns.get("DiaObjectChunks2", frozenset())
    check_columns(columns, statistics)


def layout_of(notes: Mapping[str, str]) -> Layout:
    """Return how dax_apdb has laid out its tables, as its metadata says.

    Raises
    ------
    ApdbSchemaError
        If they are of a version that cannot be written, or laid out in a way that dax_apdb alone can write.
    """
    if not is_complete(notes):
        raise ApdbSchemaError(
            f"the keyspace that apdb.url names holds no APDB, or one whose creation was interrupted; {INIT_REMEDY}"
        )
    check_schema_version(notes[SCHEMA_VERSION_KEY])
    frozen = frozen_configuration(notes, CONFIGURATION_KEY)
    _check_dax_version(notes, replication=bool(frozen.get("enable_replica")))
    if tuple(frozen.get("ra_dec_columns", ("ra", "dec"))) != ("ra", "dec"):
        raise ApdbSchemaError(
            f"the APDB was created with ra_dec_columns={frozen['ra_dec_columns']!r}; stream_assoc writes ra and dec: "
            f"{INIT_REMEDY} on another keyspace"
        )
    try:
        return _layout(frozen, notes)
    except (KeyError, TypeError, ValueError) as error:
        raise ApdbSchemaError(
            f"the rows {CONFIGURATION_KEY} and {TIME_PARTITIONS_KEY} of the APDB's table metadata cannot be read: "
            f"{error!r}; restore them from a backup"
        ) from error


def check_tables_stay(before: Layout, now: Layout) -> None:
    """Tell whether dax_apdb's administrator has dropped tables since this process opened the APDB.

    Raises
    ------
    ApdbSchemaError
        If so: they would still be read.
    """
    if before.time_partitions and set(before.time_partitions) - set(now.time_partitions or ()):
        raise ApdbSchemaError("tables of time partitions were dropped while this process ran; start it anew")


def is_complete(notes: Mapping[str, str]) -> bool:
    """Tell whether dax_apdb has ended the creation of its tables: what it notes last is there."""
    frozen = frozen_configuration(notes, CONFIGURATION_KEY)
    return bool(frozen) and (not frozen.get("time_partition_tables") or TIME_PARTITIONS_KEY in notes)


def no_apdb(keyspace: str, tables: Collection[str]) -> ApdbSchemaError:
    """Return the error about a keyspace without an APDB that can be opened."""
    if prefixed := [
        table.removesuffix(METADATA) for table in tables if table.endswith(METADATA) and table != METADATA
    ]:
        return ApdbSchemaError(
            f"the tables of the APDB in the keyspace {keyspace} have the prefix {prefixed[0]!r}, and stream_assoc "
            f"takes none; {INIT_REMEDY} on another keyspace"
        )
    return ApdbSchemaError(f"the keyspace {keyspace} that apdb.url names holds no APDB; {INIT_REMEDY}")


def _check_dax_version(notes: Mapping[str, str], *, replication: bool) -> None:
    stored = notes.get(DAX_VERSION_KEY, "")
    if numbers(stored) != numbers(DAX_VERSION):
        raise ApdbSchemaError(
            f"the tables of dax_apdb are of its version {stored} for Cassandra, and stream_assoc writes "
            f"{DAX_VERSION}; migrate them with lsst.dax.apdb's own scripts, or install a matching stream_assoc"
        )
    if not replication:
        return
    stored = notes.get(REPLICA_VERSION_KEY, "")
    major, minor = numbers(stored)
    patch = stored.split(".")[-1]
    known = (major, minor, int(patch) if patch.isdecimal() else 0)
    if known < REPLICA_VERSION or (major, minor) != REPLICA_VERSION[:2]:
        raise ApdbSchemaError(
            f"the replica tables of dax_apdb are of its version {stored}, and stream_assoc writes "
            f"{'.'.join(map(str, REPLICA_VERSION))}; migrate them with lsst.dax.apdb's own scripts"
        )


def _layout(frozen: Mapping[str, Any], notes: Mapping[str, str]) -> Layout:
    time_partitions = None
    if frozen["time_partition_tables"]:
        bounds = frozen_configuration(notes, TIME_PARTITIONS_KEY)
        # dax_apdb counts the last one in.
        time_partitions = range(int(bounds["start"]), int(bounds["end"]) + 1)
    return Layout(
        pixelization=str(frozen["part_pixelization"]),
        pixelization_level=int(frozen["part_pix_level"]),
        time_partition_days=int(frozen["time_partition_days"]),
        time_partitions=time_partitions,
        n_subchunks=int(frozen["replica_sub_chunk_count"]),
        n_dedup_partitions=int(frozen["num_part_dedup"]),
        replication=bool(frozen["enable_replica"]),
        replica_skips_dia_objects=bool(frozen["replica_skips_diaobjects"]),
    )
