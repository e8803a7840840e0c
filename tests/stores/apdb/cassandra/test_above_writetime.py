"""A program of dax_apdb whose clock is ahead has written a row, and a batch writes it anew."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

import pytest

from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.stores.apdb.rows.tables import quoted
from stream_assoc.testing.rows import BIG, FIRST, changes, dia_object, forced, source, store

pytestmark = [pytest.mark.integration, pytest.mark.rules("AboveWritetime")]

AHEAD_SECONDS: Final = 3600
KEYS: Final = {
    "DiaSource": ("apdb_part", "apdb_time_part", "diaSourceId"),
    "DiaForcedSource": ("apdb_part", "apdb_time_part", "diaObjectId", "visit", "detector"),
}


@pytest.fixture
def apdb(cassandra_apdb: CassandraUrl) -> Iterator[CassandraApdb]:
    """Return an APDB that has an object with a source and a forced source."""
    opened = cassandra_apdb.open(
        tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION
    )
    assert isinstance(opened, CassandraApdb)
    with contextlib.closing(opened):
        forced_sources = [forced(70, BIG, *FIRST)]
        store(opened, changes(FIRST, [source(BIG)], [dia_object(BIG, 60000.6)], forced_sources, delta=1))
        yield opened


def write_ahead(apdb: CassandraApdb, table: str, column: str, value: float) -> None:
    """Write a value into the one row of a table, as dax_apdb does on a host whose clock is ahead."""
    connection, key = apdb._database.connection, KEYS[table]
    (row,) = connection.read(f'SELECT {quoted(key)} FROM "{table}"')
    timestamp = time.time_ns() // 1000 + AHEAD_SECONDS * 10**6
    condition = " AND ".join(f'"{name}" = ?' for name in key)
    connection.write(
        f'UPDATE "{table}" USING TIMESTAMP ? SET "{column}" = ? WHERE {condition}', timestamp, value, *row
    )
    assert value_of(apdb, table, column) == value


def value_of(apdb: CassandraApdb, table: str, column: str) -> object:
    ((value,),) = apdb._database.connection.read(f'SELECT "{column}" FROM "{table}"')
    return value


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("DiaSource", "diaObjectId", BIG + 2),
        ("DiaSource", "timeWithdrawnMjdTai", 60000.7),
        ("DiaForcedSource", "timeWithdrawnMjdTai", 60000.7),
    ],
)
def test_what_is_processed_again_is_seen(apdb: CassandraApdb, table: str, column: str, value: float) -> None:
    before = value_of(apdb, table, column)
    write_ahead(apdb, table, column, value)
    again = [dia_object(BIG, 60001.0)]
    store(apdb, changes(FIRST, [source(BIG)], again, [forced(80, BIG, *FIRST)], time=60001.0, revision=1))
    assert value_of(apdb, table, column) == before
