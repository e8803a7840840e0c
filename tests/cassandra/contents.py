"""What an APDB on Cassandra holds, in the shape of an SQL database."""

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.database import Database
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.stores.apdb.rows.entries import ledger_values
from stream_assoc.stores.apdb.rows.tables import KEYS, LEDGER_COLUMNS, quoted

Table = tuple[list[str], list[tuple[Any, ...]]]


def read_table(url: CassandraUrl, name: str) -> Table:
    """Return the names of the columns and the rows of a table as the SQL backends have it."""
    database = _opened(url)._database
    if name in _OF_OURS:
        return _OF_OURS[name](database)
    connection = database.connection
    if name.endswith("Chunks") and name.removesuffix("Chunks") in KEYS:
        keys = [*KEYS[name.removesuffix("Chunks")], "apdb_replica_chunk"]
        return keys, connection.read(f'SELECT {quoted(keys)} FROM "{name}2"')
    if name in ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource"):
        return _science(connection, name)
    return _whole(connection, name)


def _science(connection: Connection, name: str) -> Table:
    names = list(apdb_table(name).names)
    rows = connection.read(f'SELECT {quoted(names)} FROM "{name}"')
    if name == "DiaForcedSource" or not rows:
        return names, rows
    ra, dec = (np.array([row[names.index(one)] for row in rows]) for one in ("ra", "dec"))
    pixels = htm_index(ra, dec, PIXEL_ID_LEVEL).tolist()
    return [*names, "pixelId"], [(*row, pixel) for row, pixel in zip(rows, pixels, strict=True)]


def _whole(connection: Connection, name: str) -> Table:
    asked = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?"
    names = [column for (column,) in connection.read(asked, connection.keyspace, name)]
    return names, connection.read(f'SELECT {quoted(names)} FROM "{name}"')


def _ledger(database: Database) -> Table:
    keys = database.connection.read('SELECT visit, detector FROM "StreamAssocLedger"')
    entries = database.claims.entries(sorted({BatchId(*key) for key in keys}))
    return list(LEDGER_COLUMNS), [ledger_values(entry) for of_batch in entries.values() for entry in of_batch]


def _outbox(database: Database) -> Table:
    names = ["visit", "detector", "revision", "outputs", "consumer_group"]
    groups = {one.entry.key: one.consumer_group for one in database.outbox.waiting()}
    kept = [(key, database.outbox.entry(key)) for key in groups]
    return names, [(*key, entry.outputs, groups[key]) for key, entry in kept if entry is not None]


def _counter(database: Database) -> Table:
    return ["n_single_source"], [(database.leases.single_source_objects(),)]


_OF_OURS: Final[dict[str, Callable[[Database], Table]]] = {
    "StreamAssocLedger": _ledger,
    "StreamAssocOutbox": _outbox,
    "StreamAssocCounter": _counter,
}


@functools.cache
def _opened(url: CassandraUrl) -> CassandraApdb:
    """Open an APDB for the rest of the tests, which look into it often."""
    apdb = url.open(tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION)
    assert isinstance(apdb, CassandraApdb)
    return apdb
