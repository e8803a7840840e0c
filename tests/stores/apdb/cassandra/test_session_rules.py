"""Rules of docs/cassandra-protocol.md about what a whole session does, on a real node."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

import astropy.time
import pytest
from lsst.dax.apdb import Apdb, DiaObjectId

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import BatchChanges, LedgerEntry
from stream_assoc.pipeline.exceptions import FencedError, TilesChangedError
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.case import DaxClient
from stream_assoc.testing.rows import (
    BIG,
    CELLS,
    FIRST,
    SECOND,
    TILES,
    changes,
    dia_object,
    new_objects,
    pixel,
    store,
)
from tests.cassandra.contents import read_table
from tests.cassandra.prepared import written

pytestmark = pytest.mark.integration

NOW: Final = astropy.time.Time(60001.0, format="mjd", scale="tai")
ELSEWHERE: Final = {"ra": 10.4, "dec": -5.3}


@pytest.fixture
def apdb(cassandra_apdb: CassandraUrl) -> Iterator[CassandraApdb]:
    with contextlib.closing(opened(cassandra_apdb)) as apdb:
        yield apdb


@pytest.fixture
def administrator(cassandra_apdb: CassandraUrl) -> DaxClient:
    return Apdb.from_config(cassandra_apdb.dax_config())


def opened(url: CassandraUrl, patience: Patience = DEFAULT_PATIENCE) -> CassandraApdb:
    apdb = url.open(tile_level=10, flag_columns=(), patience=patience, replication=DEFAULT_REPLICATION)
    assert isinstance(apdb, CassandraApdb)
    return apdb


def close(administrator: DaxClient) -> None:
    assert administrator.setValidityEnd([DiaObjectId(diaObjectId=BIG, ra=10.0, dec=-5.0)], NOW) == 1


def renewed(start: float = 60001.5) -> BatchChanges:
    """Return a batch that gives the object another version."""
    return changes(SECOND, [], [dia_object(BIG, start)], time=start)


def in_last(url: CassandraUrl) -> list[Any]:
    names, rows = read_table(url, "DiaObjectLast")
    place = names.index("validityStartMjdTai")
    return [row[place] for row in rows]


@pytest.mark.rules("OneCommit")
def test_batches_of_a_session_count_with_all_their_rows(apdb: CassandraApdb) -> None:
    with contextlib.suppress(FencedError), apdb.exclusive(CELLS) as session:
        session.commit([new_objects(FIRST, [BIG]), new_objects(SECOND, [BIG + 2])])
    assert apdb.contains(FIRST)
    assert apdb.contains(SECOND)
    assert apdb.count_rows()["DiaObject"] == 2


@pytest.mark.rules("SortedClaims", "ClaimsBeforeLeases")
def test_cells_are_taken_first_and_batches_claimed_in_ascending_order(
    apdb: CassandraApdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any order is as good, if all daemons have the same."""
    leases, claims, steps = apdb._database.leases, apdb._database.claims, list[object]()
    take, claim = leases.take, claims.claim

    def noted_take(*arguments: Any) -> Any:
        steps.append("cells")
        return take(*arguments)

    def noted_claim(entry: LedgerEntry, group_id: uuid.UUID) -> None:
        steps.append(entry.id)
        claim(entry, group_id)

    monkeypatch.setattr(leases, "take", noted_take)
    monkeypatch.setattr(claims, "claim", noted_claim)
    assert pixel(**ELSEWHERE, level=8) not in CELLS
    moving = changes(FIRST, objects=[dia_object(BIG, 60000.6, **ELSEWHERE)])
    with apdb.exclusive(CELLS) as session:
        session.commit([new_objects(SECOND, [BIG + 2]), moving])
    assert steps == ["cells", "cells", *sorted([FIRST, SECOND])]


@pytest.mark.rules("KeyOnce")
def test_an_object_that_stays_where_it_is_stays(apdb: CassandraApdb, cassandra_apdb: CassandraUrl) -> None:
    store(apdb, new_objects(FIRST, [BIG]))
    store(apdb, renewed())
    assert in_last(cassandra_apdb) == [60001.5]


@pytest.mark.rules("KafkaStallsNothing")
def test_batches_are_stored_while_none_is_published(cassandra_apdb: CassandraUrl) -> None:
    with contextlib.closing(opened(cassandra_apdb, Patience(lock_seconds=0.2))) as apdb:
        store(apdb, new_objects(FIRST, [BIG]))
        store(apdb, renewed())
        assert [one.entry.id for one in apdb.unpublished()] == [FIRST, SECOND]


@pytest.mark.rules("LeaseCarriesLast")
def test_a_session_learns_what_has_to_be_published_before_its_batch(apdb: CassandraApdb) -> None:
    store(apdb, new_objects(FIRST, [BIG]))
    with apdb.exclusive(CELLS) as session:
        assert session.read_snapshot([], TILES).unpublished == (BatchRevision(*FIRST, 0),)


@pytest.mark.rules("MapDecides")
def test_an_object_that_is_just_moved_is_seen_once(apdb: CassandraApdb, cassandra_apdb: CassandraUrl) -> None:
    """It is in DiaObjectLast where it was and where it is; the later version counts, as it does in the map."""
    store(apdb, new_objects(FIRST, [BIG]))
    ((part,),) = apdb._connection.read('SELECT apdb_part FROM "DiaObjectLast"')
    apdb._connection.write(
        'INSERT INTO "DiaObjectLast" (apdb_part, "diaObjectId", ra, "dec", "raErr", "decErr", '
        '"validityStartMjdTai", "nDiaSources") VALUES (?, ?, 10.0, -5.0, 0.1, 0.1, 60000.5, 1)',
        *(part + 1, BIG),
    )
    with contextlib.closing(open_reader(written(cassandra_apdb))) as reader:
        found = reader.near(10.0, -5.0, 0.5, 10)
    assert found.objects.validityStartMjdTai.tolist() == [60000.6]


@pytest.mark.rules("AboveWritetime")
def test_a_row_of_a_program_whose_clock_is_ahead_is_overwritten(
    apdb: CassandraApdb, cassandra_apdb: CassandraUrl
) -> None:
    store(apdb, new_objects(FIRST, [BIG]))
    ahead = time.time_ns() // 1000 + 3_600_000_000
    ((part,),) = apdb._connection.read('SELECT apdb_part FROM "DiaObjectLast"')
    apdb._connection.write(
        'UPDATE "DiaObjectLast" USING TIMESTAMP ? SET "validityStartMjdTai" = ?, "nDiaSources" = ?, ra = ? '
        'WHERE apdb_part = ? AND "diaObjectId" = ?',
        *(ahead, 60000.7, 9, 10.0, part, BIG),
    )
    store(apdb, renewed())
    assert in_last(cassandra_apdb) == [60001.5]


@pytest.mark.rules("RecordsAreRead")
def test_what_another_program_has_changed_is_noticed(apdb: CassandraApdb, administrator: DaxClient) -> None:
    store(apdb, new_objects(FIRST, [BIG]))
    close(administrator)
    with apdb.exclusive(CELLS) as session:
        assert session.read_snapshot([], TILES).tile_versions.tolist() == [2]


@pytest.mark.rules("LooksAgain")
def test_what_it_changes_while_a_batch_is_decided_refuses_the_commit(
    apdb: CassandraApdb, administrator: DaxClient
) -> None:
    store(apdb, new_objects(FIRST, [BIG]))
    with apdb.exclusive(CELLS) as session:
        session.read_snapshot([], TILES)
        close(administrator)
        with pytest.raises(TilesChangedError):
            session.commit([renewed()])


@pytest.mark.rules("RecordsAreAppliedAgain")
def test_what_it_closes_right_before_the_commit_is_closed_after_it(
    apdb: CassandraApdb, administrator: DaxClient, cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(apdb, new_objects(FIRST, [BIG]))
    commit, nanoseconds = apdb._database.groups.commit, time.time_ns
    with monkeypatch.context() as before_commit:
        # The clock of the program is behind that of the daemon, whose rows are later.
        before_commit.setattr(time, "time_ns", lambda: nanoseconds() + 2_000_000_000)

        def commit_late(*arguments: Any) -> None:
            close(administrator)
            commit(*arguments)

        before_commit.setattr(apdb._database.groups, "commit", commit_late)
        store(apdb, renewed())
    assert in_last(cassandra_apdb) == [60001.5]
    with apdb.exclusive(CELLS):
        assert in_last(cassandra_apdb) == []
