"""The latest versions of objects, wherever they are, and when they were written."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import numpy as np
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.stored_versions import AT_ONCE, StoredVersions, read_stored_versions
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.rows import BIG, FIRST, changes, dia_object, source, store

pytestmark = pytest.mark.integration

STAYS, MOVES, ENDED, NOWHERE = BIG, BIG + 1, BIG + 2, BIG + 3
HERE, ELSEWHERE = 10.0, 10.2
"""Right ascensions, partitions apart."""
BEGIN: Final = 60000.6
AHEAD_SECONDS: Final = 3600


@pytest.fixture
def apdb(cassandra_apdb: CassandraUrl) -> Iterator[CassandraApdb]:
    """An APDB with two objects that are there, and one that has ended."""
    opened = cassandra_apdb.open(
        tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION
    )
    assert isinstance(opened, CassandraApdb)
    with closing(opened):
        ids = [STAYS, MOVES, ENDED]
        sources = [source(one, diaObjectId=one) for one in ids]
        store(opened, changes(FIRST, sources, [dia_object(one, BEGIN) for one in ids]))
        store(opened, changes(BatchId(FIRST.visit + 1, 3), time=BEGIN + 1.0, closed=[ENDED]))
        yield opened


def part_at(apdb: CassandraApdb, ra: float) -> int:
    return int(apdb._database.places.pixels(np.array([ra]), np.array([-5.0]))[0])


def read(apdb: CassandraApdb, ids: IntArray, new_parts: dict[int, int]) -> StoredVersions:
    database = apdb._database
    return read_stored_versions(database.connection, database.places, ids, new_parts)


def found(apdb: CassandraApdb) -> StoredVersions:
    """Return what is found when one object stays, one moves, one is closed, and one is new."""
    here, elsewhere = part_at(apdb, HERE), part_at(apdb, ELSEWHERE)
    assert here != elsewhere
    ids = np.array([NOWHERE, STAYS, ENDED, MOVES])
    return read(apdb, ids, {STAYS: here, MOVES: elsewhere, NOWHERE: here})


def write(apdb: CassandraApdb, change: str, *parameters: object) -> None:
    """Change DiaObjectLast as a program of dax_apdb does."""
    apdb._database.connection.write(f'UPDATE "DiaObjectLast" {change}', *parameters)


def test_each_object_is_found_where_it_is(apdb: CassandraApdb) -> None:
    versions = found(apdb)
    assert versions.diaObjectId.tolist() == [STAYS, MOVES, ENDED]
    assert versions.is_open.tolist() == [True, True, False]
    assert set(versions.parts.tolist()) == {part_at(apdb, HERE)}
    assert set(versions.time_parts.tolist()) == set(apdb._database.places.time_parts(np.array([BEGIN])).tolist())
    assert versions.validityStartMjdTai.tolist() == [BEGIN] * 3
    assert (versions.ra.tolist(), versions.dec.tolist()) == ([HERE] * 3, [-5.0] * 3)


def test_more_than_one_statement_asks_for(apdb: CassandraApdb) -> None:
    many = [BIG + 100 + one for one in range(2 * AT_ONCE + 1)]
    where = {one: HERE + (one % 3) * 0.1 for one in many}
    sources = [source(one, ra=where[one], diaObjectId=one) for one in many]
    new = [dia_object(one, BEGIN, ra=where[one]) for one in many]
    store(apdb, changes(BatchId(FIRST.visit + 2, 3), sources, new))
    parts = {one: part_at(apdb, where[one]) for one in many}
    versions = read(apdb, np.array(many), parts)
    assert dict(zip(versions.diaObjectId.tolist(), versions.parts.tolist(), strict=True)) == parts


@pytest.mark.parametrize("identifier", [STAYS, MOVES])
def test_who_wrote_ahead_is_seen(apdb: CassandraApdb, identifier: int) -> None:
    ahead = time.time_ns() // 1000 + AHEAD_SECONDS * 10**6
    change = 'USING TIMESTAMP ? SET "nDiaSources" = ? WHERE apdb_part = ? AND "diaObjectId" = ?'
    write(apdb, change, ahead, 7, part_at(apdb, HERE), identifier)
    assert found(apdb).last_written == ahead


def test_one_column_that_is_left_is_no_version(apdb: CassandraApdb) -> None:
    change = 'SET "nDiaSources" = ? WHERE apdb_part = ? AND "diaObjectId" = ?'
    for identifier in (NOWHERE, MOVES):
        write(apdb, change, 7, part_at(apdb, ELSEWHERE), identifier)
    write(apdb, change, 7, part_at(apdb, HERE), NOWHERE)
    versions = found(apdb)
    assert versions.diaObjectId.tolist() == [STAYS, MOVES, ENDED]
    assert versions.validityStartMjdTai.tolist() == [BEGIN] * 3


def test_of_two_copies_the_later_version_counts(apdb: CassandraApdb) -> None:
    change = 'SET "validityStartMjdTai" = ?, ra = ?, dec = ? WHERE apdb_part = ? AND "diaObjectId" = ?'
    here, elsewhere = part_at(apdb, HERE), part_at(apdb, ELSEWHERE)
    for begin, latest in [(BEGIN - 1.0, here), (BEGIN + 1.0, elsewhere)]:
        write(apdb, change, begin, ELSEWHERE, -5.0, elsewhere, STAYS)
        versions = read(apdb, np.array([STAYS, MOVES]), {STAYS: here, MOVES: elsewhere})
        assert versions.parts.tolist() == [latest, here]
