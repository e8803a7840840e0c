"""A commit: versions of objects, and all or nothing."""

import contextlib
import threading

import numpy as np
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.pipeline.exceptions import (
    DuplicateSourceError,
    LedgerConflictError,
    RowsRefusedError,
)
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.testing.case import ApdbCase, DaxClient
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
    source,
    store,
)


class CommitTests(ApdbCase):
    """A commit: versions of objects, and all or nothing."""

    def test_a_ping_is_answered_from_any_thread_also_while_a_session_is_open(self, apdb: OpenApdb) -> None:
        answered = threading.Event()

        def ping() -> None:
            apdb.ping()
            answered.set()

        with apdb.exclusive(CELLS):
            thread = threading.Thread(target=ping)
            thread.start()
            thread.join()
        assert answered.is_set()

    def test_versions_supersede_each_other(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2], time=60000.25))
        moved = {"ra": 10.4, "dec": -5.3}
        one = changes(BatchId(2, 1), objects=[dia_object(BIG, 60001.0, **moved)], time=60001.0)
        two = changes(BatchId(3, 1), objects=[dia_object(BIG, 60001.5, nDiaSources=3)], time=60001.5)
        three = changes(BatchId(4, 1), objects=[dia_object(BIG, 60002.0, **moved, nDiaSources=4)], time=60002.0)
        store(apdb, one, two)
        store(apdb, three)
        versions = self.select(client, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai")
        assert versions == [
            (BIG, 60000.25, 60001.0),
            (BIG, 60001.0, 60001.5),
            (BIG, 60001.5, 60002.0),
            (BIG, 60002.0, None),
            (BIG + 2, 60000.25, None),
        ]
        last = self.select(client, "DiaObjectLast", "diaObjectId", "validityStartMjdTai", "nDiaSources", "pixelId")
        assert last == [(BIG, 60002.0, 4, pixel(10.4, -5.3)), (BIG + 2, 60000.25, 1, pixel(10, -5))]

    def test_duplicate_source_is_named_and_nothing_written(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        before = apdb.count_rows()
        bad = new_objects(SECOND, [BIG + 4, BIG], time=60001.0)
        good = new_objects(BatchId(8, 8), [BIG + 6], time=60000.9)
        with pytest.raises(DuplicateSourceError, match=str(BIG)):
            store(apdb, good, bad)
        assert apdb.count_rows() == before
        with apdb.exclusive(CELLS) as session:
            snapshot = session.read_snapshot([SECOND], TILES)
            positions = session.load_tiles(TILES).positions
        assert snapshot.entries == {}
        assert snapshot.tile_versions.tolist() == [1]
        assert snapshot.n_single_source == 1
        assert positions.validityStartMjdTai.tolist() == [60000.6]

    def test_source_twice_in_one_store(self, apdb: OpenApdb) -> None:
        twice = [changes(BatchId(1, k), [source(BIG)]) for k in range(2)]
        with pytest.raises(DuplicateSourceError, match=str(BIG)):
            store(apdb, *twice)
        assert apdb.count_rows()["StreamAssocLedger"] == 0

    def test_batch_stored_meanwhile(self, apdb: OpenApdb) -> None:
        store(apdb, changes(FIRST))
        with pytest.raises(LedgerConflictError):
            store(apdb, new_objects(FIRST, [BIG]))
        assert apdb.count_rows()["DiaSource"] == 0

    def test_missing_value_is_refused(self, apdb: OpenApdb) -> None:
        batch = changes(FIRST, [source(BIG, midpointMjdTai=None)])
        with pytest.raises(RowsRefusedError, match="midpointMjdTai"):
            store(apdb, batch)
        assert not apdb.contains(FIRST)

    def test_each_version_of_one_commit_ends_where_the_next_begins(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2], time=60000.25))
        one = changes(BatchId(2, 1), objects=[dia_object(BIG, 60001.0)], time=60001.0)
        two = changes(BatchId(3, 1), objects=[dia_object(BIG, 60001.5), dia_object(BIG + 2, 60001.5)], time=60001.5)
        store(apdb, one, two)
        assert self.select(client, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai") == [
            (BIG, 60000.25, 60001.0),
            (BIG, 60001.0, 60001.5),
            (BIG, 60001.5, None),
            (BIG + 2, 60000.25, 60001.5),
            (BIG + 2, 60001.5, None),
        ]
        assert self.select(client, "DiaObjectLast", "diaObjectId", "validityStartMjdTai") == [
            (BIG, 60001.5),
            (BIG + 2, 60001.5),
        ]

    def test_prepared_versions_end_as_they_would(self, apdb: OpenApdb, client: DaxClient) -> None:
        ids = [BIG + k for k in range(1500)]
        store(apdb, new_objects(FIRST, ids, time=60000.25))
        one = changes(SECOND, objects=[dia_object(k, 60001.0) for k in ids[:1400]], time=60001.0)
        two = changes(BatchId(3, 1), objects=[dia_object(k, 60001.5) for k in ids[1300:]], time=60001.5)
        with apdb.exclusive(CELLS) as session:
            session.prepare(np.array([*ids, 7]), np.array([60001.0] * 1400 + [60001.5] * 101))
            session.commit([one, two])
        ends = self.select(client, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai")
        assert ends == sorted(
            [
                *((k, 60000.25, 60001.0 if place < 1400 else 60001.5) for place, k in enumerate(ids)),
                *((k, 60001.0, None if place < 1300 else 60001.5) for place, k in enumerate(ids[:1400])),
                *((k, 60001.5, None) for k in ids[1300:]),
            ],
            key=lambda row: row[:2],
        )

    def test_prepared_versions_stay_without_a_commit(self, apdb: OpenApdb, client: DaxClient) -> None:
        ids = [BIG + k for k in range(1500)]
        store(apdb, new_objects(FIRST, ids, time=60000.25))
        prepared = (np.array(ids), np.full(1500, 60001.0))
        with apdb.exclusive(CELLS) as session:
            session.prepare(*prepared)
        refused = changes(SECOND, [source(BIG)], [dia_object(k, 60001.0) for k in ids], time=60001.0)
        with contextlib.suppress(DuplicateSourceError), apdb.exclusive(CELLS) as session:
            session.prepare(*prepared)
            session.commit([refused])
        assert not apdb.contains(SECOND)
        assert self.select(client, "DiaObject", "diaObjectId", "validityEndMjdTai") == [(k, None) for k in ids]
        assert self.select(client, "DiaObjectLast", "diaObjectId") == [(k,) for k in ids]

    def test_versions_stay_open_where_a_commit_is_refused(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, new_objects(FIRST, [BIG], time=60000.25))
        with pytest.raises(DuplicateSourceError):
            store(apdb, changes(SECOND, [source(BIG)], [dia_object(BIG, 60001.0)], time=60001.0))
        assert not apdb.contains(SECOND)
        assert self.select(client, "DiaObject", "diaObjectId", "validityEndMjdTai") == [(BIG, None)]
        assert self.select(client, "DiaObjectLast", "diaObjectId") == [(BIG,)]
        store(apdb, changes(SECOND, objects=[dia_object(BIG, 60002.0)], time=60002.0))
        assert self.select(client, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai") == [
            (BIG, 60000.25, 60002.0),
            (BIG, 60002.0, None),
        ]

    def test_version_that_does_not_advance_is_refused(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        with pytest.raises(RowsRefusedError):
            store(apdb, changes(SECOND, objects=[dia_object(BIG, 60000.6)]))
        assert not apdb.contains(SECOND)
