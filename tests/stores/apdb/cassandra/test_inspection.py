"""What an inspection finds on Cassandra: nothing after a night, and each fault where it was made."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.reading.inspection import Fault, Find
from stream_assoc.stores.apdb.rows.tables import quoted
from stream_assoc.testing.case import ApdbCase
from stream_assoc.testing.rows import BIG, CELLS, FIRST, SECOND, TILES, changes, forced, new_objects, store
from stream_assoc.tools.inspection.sampling import Sampling
from tests.cassandra.prepared import written
from tests.tools.inspection.skies import inspected, live_through_a_night

pytestmark = pytest.mark.integration

OTHER = BIG + 1
"""An object that the tampering leaves as it is."""


@pytest.fixture
def connection(cassandra_apdb: CassandraUrl) -> Iterator[Connection]:
    with closing(cassandra_apdb.connect(DEFAULT_PATIENCE)) as connection:
        yield connection


@pytest.fixture
def stored(cassandra_apdb: CassandraUrl) -> None:
    with closing(ApdbCase.open(cassandra_apdb)) as apdb:
        store(apdb, new_objects(FIRST, [BIG, OTHER]))
        store(apdb, changes(SECOND, forced_sources=[forced(1, BIG, *SECOND)], time=60_000.5))


def key_of(connection: Connection, table: str, known: dict[str, object]) -> dict[str, object]:
    """Return the whole primary key of the one row that has these values in it."""
    columns = connection.read(
        "SELECT column_name, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
        connection.keyspace,
        table,
    )
    names = [name for name, kind in columns if kind in ("partition_key", "clustering")]
    rows = [dict(zip(names, row, strict=True)) for row in connection.read(f'SELECT {quoted(names)} FROM "{table}"')]
    (key,) = [row for row in rows if known.items() <= row.items()]
    return key


def tamper(connection: Connection, table: str, assignment: str, known: dict[str, object]) -> None:
    """Change a row behind everybody's back, or delete it where nothing is assigned."""
    key = key_of(connection, table, known)
    change = f'UPDATE "{table}" SET {assignment}' if assignment else f'DELETE FROM "{table}"'
    condition = " AND ".join(f'"{name}" = ?' for name in key)
    connection.write(f"{change} WHERE {condition}", *key.values())


def found(url: CassandraUrl) -> list[Find]:
    return inspected(written(url), Sampling(0))


VERSION: dict[str, object] = {"diaObjectId": BIG, "validityStartMjdTai": 60_000.6}
LAST: dict[str, object] = {"diaObjectId": BIG}
SOURCE: dict[str, object] = {"diaSourceId": BIG}
ENTRY: dict[str, object] = {"visit": FIRST.visit, "detector": FIRST.detector, "revision": 0}


@dataclass(frozen=True)
class Corruption:
    """A change of a row, or its deletion, and all that is found then."""

    table: str
    known: dict[str, object]
    assignment: str
    faults: tuple[Fault, ...]


CORRUPTIONS = (
    Corruption(
        "DiaObject",
        VERSION,
        '"validityEndMjdTai" = 6.0',
        (Fault.NEGATIVE_INTERVAL, Fault.LAST_WITHOUT_OPEN_VERSION),
    ),
    Corruption("DiaObjectLast", LAST, "", (Fault.OPEN_VERSION_NOT_IN_LAST, Fault.WRONG_SINGLE_SOURCE_COUNT)),
    Corruption("DiaObjectLast", LAST, '"raErr" = 7.0', (Fault.LAST_DIFFERS_FROM_VERSION,)),
    Corruption("DiaObjectLastToPartition", LAST, "apdb_part = 7", (Fault.LAST_DIFFERS_FROM_VERSION,)),
    Corruption("StreamAssocObject", LAST, '"validityStartMjdTai" = 7.0', (Fault.LAST_DIFFERS_FROM_VERSION,)),
    Corruption("StreamAssocObject", LAST, "apdb_part = 7", (Fault.WRONG_PIXEL_ID,)),
    Corruption(
        "StreamAssocObject",
        LAST,
        '"validityEndMjdTai" = 60001.0',
        (Fault.LAST_DIFFERS_FROM_VERSION, Fault.SOURCE_OF_CLOSED_OBJECT),
    ),
    Corruption(
        "StreamAssocObject",
        LAST,
        "",
        (Fault.LAST_DIFFERS_FROM_VERSION, Fault.SOURCE_WITHOUT_OBJECT, Fault.FORCED_SOURCE_WITHOUT_OBJECT),
    ),
    Corruption("DiaSource", SOURCE, '"timeWithdrawnMjdTai" = 60002.0', (Fault.WRONG_N_DIA_SOURCES,)),
    Corruption("DiaSource", SOURCE, "band = 'w'", (Fault.UNKNOWN_BAND,)),
    Corruption("DiaSource", SOURCE, '"diaObjectId" = 99', (Fault.SOURCE_WITHOUT_OBJECT, Fault.WRONG_N_DIA_SOURCES)),
    Corruption(
        "StreamAssocLedger",
        ENTRY,
        "",
        (Fault.BATCH_NOT_IN_LEDGER, Fault.TILE_OF_UNKNOWN_BATCH, Fault.OUTBOX_ENTRY_NOT_IN_LEDGER),
    ),
    Corruption("StreamAssocLedger", ENTRY, "n_stored = 9", (Fault.WRONG_N_STORED,)),
)


def test_nothing_is_wrong_after_a_night(cassandra_apdb: CassandraUrl) -> None:
    live_through_a_night(written(cassandra_apdb))
    assert inspected(written(cassandra_apdb)) == []


def test_nothing_is_wrong_with_what_was_stored(stored: None, cassandra_apdb: CassandraUrl) -> None:
    assert found(cassandra_apdb) == []


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corruption_is_found(
    stored: None, cassandra_apdb: CassandraUrl, connection: Connection, corruption: Corruption
) -> None:
    tamper(connection, corruption.table, corruption.assignment, corruption.known)
    assert {find.fault for find in found(cassandra_apdb)} == set(corruption.faults)


def test_a_second_version_is_found(stored: None, cassandra_apdb: CassandraUrl, connection: Connection) -> None:
    key = key_of(connection, "DiaObject", VERSION) | {"validityStartMjdTai": 60_000.0}
    statement = f'INSERT INTO "DiaObject" ({quoted(list(key))}, "validityEndMjdTai") VALUES (?, ?, ?, ?, ?)'
    values = list(key.values())
    for end, fault in ((60_000.3, Fault.GAP_BETWEEN_VERSIONS), (60_001.0, Fault.OVERLAPPING_VERSIONS)):
        connection.write(statement, *values, end)
        (find,) = found(cassandra_apdb)
        assert (find.fault, find.key) == (fault, {"diaObjectId": BIG})
        assert list(find.values.values()) == [60_000.0, end, 60_000.6]
    connection.write(statement, *values, None)
    assert [find.fault for find in found(cassandra_apdb)] == [Fault.TWO_OPEN_VERSIONS]


def test_a_revision_that_is_gone_is_found(cassandra_apdb: CassandraUrl, connection: Connection) -> None:
    with closing(ApdbCase.open(cassandra_apdb)) as apdb:
        store(apdb, changes(FIRST))
        store(apdb, changes(FIRST, time=60_001.0, revision=1))
        apdb.mark_published([BatchRevision(*FIRST, 0)])
    tamper(connection, "StreamAssocLedger", "", ENTRY)
    (find,) = found(cassandra_apdb)
    assert (find.fault, dict(find.values)) == (Fault.MISSING_REVISION, {"latest revision": 1, "revisions": 1})


def test_statistics_of_nobody_are_found(cassandra_apdb: CassandraUrl, connection: Connection) -> None:
    statement = 'INSERT INTO "StreamAssocDiaObject" ("diaObjectId", "validityStartMjdTai") VALUES (5, 60000.5)'
    connection.write(statement)
    (find,) = found(cassandra_apdb)
    assert (find.fault, find.key) == (Fault.STATISTICS_WITHOUT_VERSION, {"diaObjectId": 5})


def test_a_tile_that_is_gone_is_found(stored: None, cassandra_apdb: CassandraUrl, connection: Connection) -> None:
    tamper(connection, "StreamAssocLease", "tile_versions = NULL", {"cell": CELLS.item()})
    (find,) = found(cassandra_apdb)
    assert (find.fault, find.key, find.values) == (
        Fault.TILE_WITHOUT_VERSION,
        {"tile": TILES.item()},
        {"objects": 2},
    )
