"""Transactions of other programs beside those of batches, and what triggers cost them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, TypeAlias

import psycopg
import pytest
from psycopg.types.json import Jsonb

from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING
from stream_assoc.stores.apdb.sql.other_writers import pixel_shift
from stream_assoc.stores.apdb.sql.statements import OTHERS_SHARD
from stream_assoc.testing.rows import BIG, FIRST, TILES, new_objects, pixel, store

pytestmark = pytest.mark.integration

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
TILE = int(TILES[0])
ELSEWHERE = pixel(10.5, -5.0)
IDS = [BIG + place for place in range(50)]


@pytest.fixture
def other(postgresql_apdb_url: str) -> Iterator[Connection]:
    """Another program's connection to an APDB with fifty objects in one tile."""
    with closing(open_apdb(postgresql_apdb_url)) as apdb:
        store(apdb, new_objects(FIRST, IDS))
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def batch(postgresql_apdb_url: str, other: Connection) -> Iterator[Connection]:
    """A batch's connection, in whose transactions triggers do nothing."""
    with psycopg.connect(postgresql_apdb_url, options=f"-c {BATCH_SETTING}=on") as connection:
        yield connection


def rows(connection: Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode(), parameters).fetchall()


def test_a_transaction_raises_a_tile_once_however_many_rows_it_changes(other: Connection) -> None:
    with other.transaction():
        other.execute('UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = 60001')
        other.execute('UPDATE "DiaObject" SET "nDiaSources" = 0')
        other.execute('UPDATE "DiaObjectLast" SET "nDiaSources" = 0')
    assert rows(other, 'SELECT tile, version FROM "StreamAssocTile"') == [(TILE, 2)]
    other.execute('UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = NULL')
    assert rows(other, 'SELECT tile, version FROM "StreamAssocTile"') == [(TILE, 3)]


def test_what_a_savepoint_takes_back_is_raised_again(other: Connection) -> None:
    with other.transaction():
        with other.transaction(force_rollback=True):
            other.execute('UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = 60001')
        other.execute('UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = 60001 WHERE "diaSourceId" = %s', (BIG,))
    assert rows(other, 'SELECT tile, version FROM "StreamAssocTile"') == [(TILE, 2)]
    assert rows(other, 'SELECT "diaObjectId", is_outdated FROM "StreamAssocChanged"') == [(BIG, True)]


def test_a_note_without_more_to_say_leaves_an_outdated_object_outdated(other: Connection) -> None:
    other.execute('UPDATE "DiaObjectLast" SET ra = ra WHERE "diaObjectId" = %s', (BIG,))
    other.execute('UPDATE "DiaSource" SET ra = ra WHERE "diaSourceId" = %s', (BIG,))
    other.execute('UPDATE "DiaObject" SET ra = ra WHERE "diaObjectId" = %s', (BIG,))
    assert rows(other, 'SELECT "diaObjectId", is_outdated FROM "StreamAssocChanged"') == [(BIG, True)]


def while_a_batch_is_storing(batch: Connection, other: Connection, update: Callable[[], object]) -> None:
    """Make an update that waits for the batch's transaction, and commit the batch."""
    thread = threading.Thread(target=update)
    thread.start()
    deadline = time.monotonic() + 60
    while rows(batch, "SELECT pg_blocking_pids(%s)", other.info.backend_pid) == [([],)]:
        assert time.monotonic() < deadline
    batch.commit()
    thread.join(60)
    assert not thread.is_alive()


def delete_source(other: Connection) -> Callable[[], object]:
    return lambda: other.execute('DELETE FROM "DiaSource" WHERE "diaSourceId" = %s', (BIG,))


def end_version(batch: Connection, *tiles: int) -> None:
    batch.execute('UPDATE "DiaObject" SET "validityEndMjdTai" = 60001 WHERE "diaObjectId" = %s', (BIG,))
    batch.execute(
        'INSERT INTO "StreamAssocTile" AS t (tile, version) SELECT unnest(%s::bigint[]), 1 '
        "ON CONFLICT (tile) DO UPDATE SET version = t.version + 1",
        (list(tiles),),
    )


def begin_version(batch: Connection, pixel_id: int) -> None:
    begun = {"validityStartMjdTai": 60001, "validityEndMjdTai": None, "pixelId": pixel_id}
    batch.execute(
        'INSERT INTO "DiaObject" SELECT (jsonb_populate_record(o, %s)).* FROM "DiaObject" o WHERE "diaObjectId" = %s',
        (Jsonb(begun), BIG),
    )


def test_an_object_that_a_batch_is_moving_is_noted_where_it_is_then(batch: Connection, other: Connection) -> None:
    moved_to = ELSEWHERE >> pixel_shift(10)
    end_version(batch, TILE, moved_to)
    begin_version(batch, ELSEWHERE)
    while_a_batch_is_storing(batch, other, delete_source(other))
    assert rows(other, 'SELECT * FROM "StreamAssocChanged"') == [(BIG, moved_to, True)]
    versions = dict(rows(other, 'SELECT tile, version FROM "StreamAssocTile"'))
    assert versions == {TILE: 3, moved_to: 2}


def test_an_object_that_a_batch_is_closing_is_not_noted(batch: Connection, other: Connection) -> None:
    end_version(batch, TILE)
    while_a_batch_is_storing(batch, other, delete_source(other))
    assert rows(other, 'SELECT * FROM "StreamAssocChanged"') == []


def test_other_programs_count_where_no_batch_does(other: Connection) -> None:
    other.execute('UPDATE "DiaObjectLast" SET "nDiaSources" = 0')
    counted = dict(rows(other, 'SELECT shard, n_single_source FROM "StreamAssocCounter"'))
    assert counted.pop(OTHERS_SHARD) == -len(IDS)
    assert sum(counted.values()) == len(IDS)
