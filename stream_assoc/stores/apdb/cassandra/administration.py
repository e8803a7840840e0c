"""Creating an APDB in a keyspace, and preparing an existing one for this package.

Nothing here is a transaction: each step may be done again, and what says that
all is there is written last. So whoever is interrupted begins anew, and goes
on. ``lsst.dax.apdb`` is imported inside the functions that need it, because that import costs seconds.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Final

from stream_assoc.core.model.further_statistics import TABLE as FURTHER
from stream_assoc.core.model.schema import schema_version
from stream_assoc.stores.apdb.backend import ClusterChoices
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import (
    METADATA,
    OUR_TABLES,
    OUR_VERSION,
    is_complete,
    layout_of,
    no_apdb,
    read_columns,
    read_layout,
    read_notes,
    read_report,
    read_tables,
)
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.creation import check_choices, create, drop_tables
from stream_assoc.stores.apdb.cassandra.ending import end_sessions, release_chunks
from stream_assoc.stores.apdb.cassandra.tables import LEDGER, statements
from stream_assoc.stores.apdb.cassandra.withdrawing import withdraw_records, withdraw_rows
from stream_assoc.stores.apdb.columns import statistics_columns
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import (
    INIT_REMEDY,
    OUR_VERSION_KEY,
    PARTITION_KEY,
    cell_level_of,
    check_not_newer,
    new_names,
    partition_name,
    tile_level_of,
)
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.rows.tables import TOLD_COLUMNS

_NOTE: Final = f"INSERT INTO {METADATA} (meta_part, name, value) VALUES (0, ?, ?) IF NOT EXISTS"
_CHANGE: Final = f"UPDATE {METADATA} SET value = ? WHERE meta_part = 0 AND name = ? IF value = ?"

_TYPES: Final = {LEDGER: "text", FURTHER: "double"}
"""Of the columns that are added to a table."""


class CassandraAdministration:
    """`~stream_assoc.stores.apdb.backend.Administration` of a keyspace.

    Parameters
    ----------
    url : `CassandraUrl`
        The keyspace.
    now : callable
        Seconds since 1970.
    """

    def __init__(self, url: CassandraUrl, now: Callable[[], float] = time.time) -> None:
        self._url = url
        self._now = now

    def init(
        self,
        *,
        drop: bool,
        replication: bool,
        tile_level: int,
        cell_level: int,
        cluster: ClusterChoices | None = None,
    ) -> None:
        """See `Administration.init`."""
        if drop:
            drop_tables(self._url)
        choices = cluster or ClusterChoices()
        if drop or not self._holds_apdb():
            create(self._url, choices, replication=replication)
        else:
            check_choices(self._url, choices)
        self.extend(tile_level=tile_level, cell_level=cell_level)

    def plan(self, *, drop: bool, statistics: Sequence[str]) -> list[str]:
        """See `Administration.plan`."""
        exists = self._holds_apdb()
        steps = ["drop all tables of the APDB, with their rows"] if drop and exists else []
        there: Mapping[str, Collection[str]] = {}
        if drop or not exists:
            steps.append(f"create the tables of lsst.dax.apdb, APDB schema {schema_version()}")
        else:
            with closing(self._url.connect(DEFAULT_PATIENCE)) as connection:
                _check(read_notes(connection), read_tables(connection))
                there = read_columns(connection)
        if missing := [table for table in OUR_TABLES if table not in there]:
            steps.append(f"create the tables of stream_assoc {OUR_VERSION}: {', '.join(missing)}")
        for table, columns in _missing(there, statistics_columns(statistics)).items():
            steps.append(f"add to {table}: {', '.join(columns)}")
        return steps

    def extend(self, *, tile_level: int, cell_level: int) -> None:
        """See `Administration.extend`."""
        with closing(self._url.connect(DEFAULT_PATIENCE)) as connection:
            tables = read_tables(connection)
            if METADATA not in tables:
                raise no_apdb(connection.keyspace, tables)
            _check(read_notes(connection), tables)
            for statement in [*statements(), _further_statistics()]:
                connection.change_tables(statement)
            _add_columns(connection, statistics_columns())
            partition = partition_name(tile_level, cell_level)
            # Last what says that all is there. Of two that do this at once, the first one's notes stay.
            notes = new_names() | {PARTITION_KEY: partition, OUR_VERSION_KEY: OUR_VERSION}
            for note in notes.items():
                connection.decide(_NOTE, *note)
            if (version := read_notes(connection)[OUR_VERSION_KEY]) != OUR_VERSION:
                connection.decide(_CHANGE, OUR_VERSION, OUR_VERSION_KEY, version)

    def add_columns(self, statistics: Sequence[str]) -> None:
        """See `Administration.add_columns`."""
        with closing(self._url.connect(DEFAULT_PATIENCE)) as connection:
            if FURTHER not in read_tables(connection):
                raise ApdbSchemaError(f"the keyspace that apdb.url names has no table {FURTHER}; {INIT_REMEDY}")
            _add_columns(connection, statistics)

    def repartition(self, *, tile_level: int, cell_level: int) -> None:
        """See `Administration.repartition`."""
        with closing(self._url.connect(DEFAULT_PATIENCE)) as connection:
            before = read_notes(connection)
            now = new_names() | {PARTITION_KEY: partition_name(tile_level, cell_level)}
            if lost := [key for key in now if key not in before]:
                raise ApdbSchemaError(
                    f"the APDB lacks what stream_assoc adds to it ({', '.join(lost)}); {INIT_REMEDY}"
                )
            changed = [(_CHANGE, (value, key, before[key])) for key, value in now.items()]
            if not connection.decide_together(changed):
                raise ApdbSchemaError("another `stream-assoc apdb init` has just changed the APDB; try again")
            end_sessions(connection, _tile_shift(before))

    def withdraw_notes(
        self, rows: Mapping[str, Collection[Sequence[object]]], records: Collection[Sequence[object]]
    ) -> None:
        """See `Administration.withdraw_notes`."""
        with closing(self._url.connect(DEFAULT_PATIENCE)) as connection:
            layout = read_layout(connection)
            for table, keys in rows.items():
                withdraw_rows(connection, layout, table, keys)
            if records:
                withdraw_records(connection, layout, records)

    def release_chunks(self) -> Sequence[int]:
        """See `Administration.release_chunks`."""
        with closing(self._url.connect(DEFAULT_PATIENCE)) as connection:
            if not read_report(connection).replication:
                return ()
            return release_chunks(connection, _tile_shift(read_notes(connection)), self._now())

    def _holds_apdb(self) -> bool:
        """Tell whether dax_apdb has created all of its tables."""
        try:
            connection = self._url.connect(DEFAULT_PATIENCE)
        except ApdbSchemaError:
            return False
        with closing(connection):
            return METADATA in read_tables(connection) and is_complete(read_notes(connection))


def _check(notes: Mapping[str, str], tables: Collection[str]) -> None:
    """Refuse what this version cannot go on with, before anything is changed."""
    layout_of(notes)
    if (version := notes.get(OUR_VERSION_KEY)) is None:
        return
    check_not_newer(version, OUR_VERSION)
    # Making an empty one would hide what was in it.
    if lost := [table for table in OUR_TABLES if table not in tables]:
        raise ApdbSchemaError(
            f"the APDB says that it is of version {version} of the stream_assoc tables, but {', '.join(lost)} is "
            "not there; restore it from a backup"
        )


def _tile_shift(notes: Mapping[str, str]) -> int:
    divided = notes[PARTITION_KEY]
    return 2 * (tile_level_of(divided) - cell_level_of(divided))


def _further_statistics() -> str:
    columns = ", ".join(f'"{name}" double' for name in statistics_columns())
    key = '"diaObjectId" bigint, "validityStartMjdTai" double'
    return (
        f'CREATE TABLE IF NOT EXISTS "{FURTHER}" ({key}, {columns}, '
        'PRIMARY KEY (("diaObjectId"), "validityStartMjdTai"))'
    )


def _add_columns(connection: Connection, statistics: Iterable[str]) -> None:
    """Add the columns that our tables have got since they were created, and those of statistics."""
    for table, columns in _missing(read_columns(connection), statistics).items():
        added = ", ".join(f'"{name}" {_TYPES[table]}' for name in columns)
        connection.change_tables(f'ALTER TABLE "{table}" ADD IF NOT EXISTS ({added})')


def _missing(there: Mapping[str, Collection[str]], statistics: Iterable[str]) -> dict[str, list[str]]:
    """Return the columns that tables lack: those that exist, and the one of statistics in any case."""
    wanted = {LEDGER: TOLD_COLUMNS if LEDGER in there else (), FURTHER: statistics}
    missing = {table: [one for one in names if one not in there.get(table, ())] for table, names in wanted.items()}
    return {table: names for table, names in missing.items() if names}
