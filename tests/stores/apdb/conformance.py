"""What every APDB adapter must do, judged by our own readers and by the real dax_apdb client."""

import contextlib
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import astropy.time
import numpy as np
import pyarrow as pa
import pytest
from lsst.dax.apdb.apdbSchema import ApdbTables
from lsst.dax.apdb.sql import ApdbSql, ApdbSqlConfig
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import BatchChanges, InputPosition
from stream_assoc.core.model.forced import GoodSources
from stream_assoc.pipeline.exceptions import (
    ApdbUnavailableError,
    DuplicateSourceError,
    LedgerConflictError,
    RowsRefusedError,
)
from stream_assoc.pipeline.ports.in_hand import InHand
from stream_assoc.pipeline.ports.outbox import WaitingEntry
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from tests.contents import columns
from tests.stores.apdb.builders import BIG, changes, dia_object, forced, pixel, source

CELLS = np.array([pixel(10, -5, 8)])
TILES = np.array([pixel(10, -5, 10)])
FIRST, SECOND = BatchId(2**40 + 1, 3), BatchId(2**40 + 1, 188)


def store(apdb: OpenApdb, *batches: BatchChanges) -> list[int]:
    with apdb.exclusive(CELLS) as session:
        stored: list[int] = session.commit(batches).tolist()
    return stored


def new_objects(batch: BatchId, ids: list[int], time: float = 60000.6, **values: Any) -> BatchChanges:
    """Return a batch whose sources all became objects."""
    return changes(
        batch,
        [source(identifier, timeProcessedMjdTai=time, **values) for identifier in ids],
        [dia_object(identifier, time) for identifier in ids],
        time=time,
        delta=len(ids),
    )


class ApdbConformance(ABC):
    """Tests of one adapter; a subclass says where a prepared, empty APDB is."""

    @pytest.fixture
    @abstractmethod
    def url(self) -> str: ...

    @pytest.fixture
    def apdb(self, url: str) -> Iterator[OpenApdb]:
        apdb = open_apdb(url, flag_columns=("centroid_flag", "psfFlux_flag"))
        yield apdb
        apdb.close()

    @pytest.fixture
    def client(self, url: str) -> ApdbSql:
        """The real client, on the same database."""
        config = parse_url(url).dax_config()
        assert isinstance(config, ApdbSqlConfig)
        return ApdbSql(config)

    # --- the ledger, the outbox, the counters ---

    def test_empty_database_knows_nothing(self, apdb: OpenApdb) -> None:
        with apdb.exclusive(CELLS) as session:
            snapshot = session.read_snapshot([FIRST], TILES)
            tiles = session.load_tiles(TILES).split()
            histories = session.load_histories(np.array([BIG]))
        assert snapshot.entries == {}
        assert snapshot.tile_versions.tolist() == [0]
        assert snapshot.n_single_source == 0
        assert {tile: len(positions) for tile, positions in tiles.items()} == {TILES[0]: 0}
        assert len(histories.diaObjectId) == 0
        assert histories.offsets.tolist() == [0]

    def test_opening_tells_what_was_stored(self, apdb: OpenApdb) -> None:
        batch = changes(FIRST, position=InputPosition("dia-sources", 3, 2**40), tiles=[TILES[0], 99], delta=4)
        assert store(apdb, batch) == [1, 1]
        assert store(apdb, changes(SECOND, tiles=[99], delta=-1)) == [2]
        with apdb.exclusive(CELLS) as session:
            snapshot = session.read_snapshot([FIRST, BatchId(1, 1)], np.array([98, 99, TILES[0]]))
        assert snapshot.entries == {FIRST: (batch.entry,)}
        assert snapshot.tile_versions.tolist() == [0, 2, 1]
        assert snapshot.n_single_source == 3

    def test_tiles_that_batches_have_changed_are_known(self, apdb: OpenApdb) -> None:
        assert apdb.known_tiles().tolist() == []
        store(apdb, changes(FIRST, tiles=[99, 2**34]), changes(SECOND, tiles=[7, 99]))
        known = apdb.known_tiles()
        assert known.tolist() == [7, 99, 2**34]
        assert known.dtype == np.int64

    def test_empty_batch_has_a_ledger_row(self, apdb: OpenApdb, client: ApdbSql) -> None:
        assert store(apdb, changes(FIRST)) == []
        assert apdb.contains(FIRST)
        assert not apdb.contains(SECOND)
        assert client.tableRowCount()["DiaSource"] == 0

    def test_opening_tells_which_batches_of_its_tiles_are_unpublished(self, apdb: OpenApdb) -> None:
        with apdb.exclusive(CELLS) as session:
            assert session.read_snapshot([], np.array([7, 8, 9])).unpublished == ()
        first, second, third = (BatchId(visit, 0) for visit in (1, 2, 3))
        # The last of a transaction stands for all of it: each of them is published after the one before.
        store(apdb, changes(first, tiles=[7]), changes(second, tiles=[8]))
        store(apdb, changes(third, tiles=[8, 9]))
        with apdb.exclusive(CELLS) as session:
            asked = {tiles: session.read_snapshot([], np.array(tiles)).unpublished for tiles in ((7,), (8,), (7, 9))}
        assert asked == {
            (7,): (BatchRevision(*second, 0),),
            (8,): (BatchRevision(*third, 0),),
            (7, 9): (BatchRevision(*second, 0), BatchRevision(*third, 0)),
        }
        apdb.mark_published([BatchRevision(*third, 0)])
        with apdb.exclusive(CELLS) as session:
            assert session.read_snapshot([], np.array([7, 8, 9])).unpublished == (BatchRevision(*second, 0),)

    def test_outbox_knows_what_comes_first_and_who_publishes(self, apdb: OpenApdb) -> None:
        before = (BatchRevision(2**40, 188, 0), BatchRevision(7, 0, 3))
        batch = replace(changes(FIRST), predecessors=before, consumer_group="group")
        store(apdb, batch, changes(SECOND))
        assert apdb.waiting() == [
            WaitingEntry(batch.entry, before, "group"),
            WaitingEntry(changes(SECOND).entry, (), None),
        ]
        kept = apdb.outbox_entry(batch.entry.key)
        assert kept is not None
        assert kept.predecessors == before
        second = BatchRevision(*SECOND, 0)
        assert apdb.still_waiting([batch.entry.key, second, *before]) == {batch.entry.key, second}
        apdb.mark_published([second])
        assert apdb.still_waiting([batch.entry.key, second]) == {batch.entry.key}
        assert apdb.still_waiting([]) == frozenset()

    def test_one_of_several_adopts(self, apdb: OpenApdb, url: str) -> None:
        with contextlib.closing(open_apdb(url)) as other:
            with apdb.sole_adopter() as ours:
                with other.sole_adopter() as theirs:
                    assert (ours, theirs) == (True, False)
                # Cells are not concerned.
                with other.exclusive(CELLS):
                    pass
            with other.sole_adopter() as theirs:
                assert theirs

    def test_outbox_keeps_the_bytes_until_published(self, apdb: OpenApdb) -> None:
        batches = [changes(BatchId(9 - k, k), position=InputPosition("t", 0, k)) for k in range(4)]
        store(apdb, *batches[:2])
        store(apdb, *batches[2:])
        assert [(left.entry, left.outputs) for left in apdb.unpublished()] == [
            (batch.entry, batch.outputs) for batch in batches
        ]
        apdb.mark_published([batches[0].entry.key, batches[2].entry.key])
        assert apdb.outbox_entry(batches[0].entry.key) is None
        left = apdb.outbox_entry(batches[1].entry.key)
        assert left is not None
        assert left.outputs == batches[1].outputs
        assert [left.entry.id for left in apdb.unpublished()] == [batches[1].entry.id, batches[3].entry.id]
        assert apdb.contains(batches[0].entry.id)

    def test_what_is_in_hand_is_known_to_others(self, apdb: OpenApdb, url: str) -> None:
        partitions = [("t", 0), ("t", 1), ("u", 0)]
        assert apdb.in_hand(partitions) == []
        apdb.note_in_hand([InHand("t", 0, 3, 7), InHand("u", 0, 2**40, 2**40 + 1)])
        apdb.note_in_hand([InHand("t", 0, 8, 8, is_suspect=True)])
        with contextlib.closing(open_apdb(url)) as another:
            found = another.in_hand(partitions)
        assert sorted(found, key=lambda note: note.topic) == [
            InHand("t", 0, 8, 8, is_suspect=True),
            InHand("u", 0, 2**40, 2**40 + 1),
        ]
        assert apdb.in_hand([]) == []

    # --- forced sources ---

    def test_forced_sources_are_read_by_their_time(self, apdb: OpenApdb) -> None:
        other = BatchId(FIRST.visit - 1, FIRST.detector)
        store(
            apdb,
            changes(
                FIRST,
                forced_sources=[
                    forced(1, BIG + 2, *FIRST, timeProcessedMjdTai=60001.0, psfFlux=0.1, psfFluxErr=0.2, band="y"),
                    forced(2, BIG, *FIRST, timeProcessedMjdTai=60002.0, psfFlux=None, psfFluxErr=float("nan")),
                ],
            ),
            changes(SECOND, forced_sources=[forced(3, BIG, *SECOND, timeProcessedMjdTai=60001.0, band="u")]),
            changes(other, forced_sources=[forced(4, BIG, *other, timeProcessedMjdTai=60002.0)]),
        )
        ids, ever = np.array([BIG + 2, BIG]), np.full(2, -np.inf)
        with apdb.exclusive(CELLS) as session:
            every = session.load_forced_points(ids, ever, np.full(2, np.inf))
            spans = [
                session.load_forced_points(
                    ids, np.array([after, after]), np.array([until, until])
                ).diaObjectId.tolist()
                for after, until in ((60001.0, 60002.0), (60000.0, 60001.0), (60002.0, np.inf), (-np.inf, 60001.0))
            ]
            by_object = session.load_forced_points(ids, np.array([60001.0, 60000.0]), np.array([np.inf, 60001.0]))
            without = session.load_forced_points(ids, ever, np.full(2, np.inf), without=FIRST)
            counted = session.counted_forced_sources(FIRST)
            nothing = session.load_forced_points(np.array([7]), ever[:1], -ever[:1])
        # By object, time, visit and detector.
        assert every.diaObjectId.tolist() == [BIG, BIG, BIG, BIG + 2]
        assert every.timeProcessedMjdTai.tolist() == [60001.0, 60002.0, 60002.0, 60001.0]
        assert every.band.tolist() == [0, 2, 2, 5]
        assert np.float32(every.psfFlux[3]) == np.float32(0.1)
        assert np.isnan(every.psfFlux).tolist() == [False, False, True, False]
        assert np.isnan(every.psfFluxErr).tolist() == [True, True, True, False]
        assert spans == [[BIG, BIG], [BIG, BIG + 2], [], [BIG, BIG + 2]]
        assert by_object.timeProcessedMjdTai.tolist() == [60001.0]
        assert without.diaObjectId.tolist() == [BIG, BIG]
        assert counted.diaObjectId.tolist() == [BIG, BIG + 2]
        assert len(nothing) == 0
        assert nothing.band.dtype == nothing.diaObjectId.dtype == np.dtype(np.int64)

    def test_withdrawn_forced_sources_count_no_longer(self, apdb: OpenApdb) -> None:
        store(apdb, changes(FIRST, forced_sources=[forced(1, BIG, *FIRST), forced(2, BIG + 2, *FIRST)]))
        again = forced(2, BIG + 2, *FIRST, timeProcessedMjdTai=60002.0)
        store(apdb, changes(FIRST, forced_sources=[again], time=60002.0, revision=1))
        with apdb.exclusive(CELLS) as session:
            counted = session.counted_forced_sources(FIRST)
            read = session.load_forced_points(np.array([BIG, BIG + 2]), np.full(2, -np.inf), np.full(2, np.inf))
        assert counted.diaObjectId.tolist() == read.diaObjectId.tolist() == [BIG + 2]
        assert counted.timeProcessedMjdTai.tolist() == [60002.0]

    def test_a_forced_source_of_unknown_band_is_told(self, apdb: OpenApdb) -> None:
        store(apdb, changes(FIRST, forced_sources=[forced(1, BIG, *FIRST, band=None)]))
        with apdb.exclusive(CELLS) as session, pytest.raises(ApdbSchemaError, match=r"DiaForcedSource\.band"):
            session.counted_forced_sources(FIRST)

    def test_good_sources_vouch_for_their_objects(self, apdb: OpenApdb) -> None:
        good: dict[str, Any] = {
            "reliability": 0.5,
            "trailLength": 1.4,
            "glint_trail": False,
            "isDipole": False,
        }
        flaws: list[dict[str, Any]] = [
            *({"reliability": value} for value in (0.49, None, float("nan"))),
            *({"trailLength": value} for value in (1.5, None, float("nan"))),
            *({"glint_trail": value} for value in (True, None)),
            *({"isDipole": value} for value in (True, None)),
        ]
        rows = [source(BIG + k, **good | flaw) for k, flaw in enumerate([{}, *flaws])]
        # One good source among others is enough, wherever it stands.
        rows += [source(BIG + 40 + k, **good | flaw, diaObjectId=BIG + 40) for k, flaw in enumerate([flaws[0], {}])]
        store(apdb, changes(FIRST, rows), changes(SECOND, [source(BIG + 60, **good)]))
        asked, criteria = np.array([BIG + 99, BIG + 60, BIG + 40, *(BIG + k for k in range(11))]), GoodSources()

        def good_ones(criteria: GoodSources, without: BatchId | None = None) -> list[int]:
            with apdb.exclusive(CELLS) as session:
                has_good_source = session.has_good_source(asked, criteria, without=without)
            assert has_good_source.shape == asked.shape
            return sorted(asked[has_good_source].tolist())

        assert good_ones(criteria) == [BIG, BIG + 40, BIG + 60]
        assert good_ones(criteria, without=FIRST) == [BIG + 60]
        lax = GoodSources(min_reliability=0.4, max_trail_length=2.0)
        assert good_ones(lax) == [BIG, BIG + 1, BIG + 4, BIG + 40, BIG + 60]
        with apdb.exclusive(CELLS) as session:
            assert session.has_good_source(np.empty(0, np.int64), criteria).tolist() == []
        store(apdb, changes(FIRST, time=60002.0, revision=1))
        assert good_ones(criteria) == [BIG + 60], "withdrawn sources do not count"

    def test_rows_are_counted(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2]))
        assert apdb.count_rows() == {
            "DiaObject": 2,
            "DiaObjectLast": 2,
            "DiaSource": 2,
            "DiaForcedSource": 0,
            "StreamAssocLedger": 1,
            "StreamAssocOutbox": 1,
        }

    def test_further_statistics_are_rows_beside_those_of_the_objects(self, apdb: OpenApdb, url: str) -> None:
        first, second = [BIG, BIG + 2], [BIG, 5]
        batches = []
        for batch, ids, start in ((FIRST, first, 60000.6), (SECOND, second, 60001.6)):
            further = pa.table(
                {
                    "diaObjectId": pa.array(ids, pa.int64()),
                    "validityStartMjdTai": pa.array([start] * 2, pa.float64()),
                    "flags": pa.array([0.0, 1.0]),
                    "r_psfFluxSkew": pa.array([None, -0.1]),
                    "y_multiPhase": pa.array([math.inf, start]),
                }
            )
            objects = changes(batch, objects=[dia_object(one, start) for one in ids], time=start)
            batches.append(replace(objects, further_statistics=further))
        store(apdb, *batches)
        without = BatchId(FIRST.visit + 7, 1)
        store(apdb, changes(without, objects=[dia_object(7, 60002.0)], time=60002.0))
        names = ("diaObjectId", "validityStartMjdTai", "flags", "r_psfFluxSkew", "y_multiPhase", "g_psfFluxChi2")
        assert sorted(columns(url, "StreamAssocDiaObject", *names)) == [
            (5, 60001.6, 1.0, -0.1, 60001.6, None),
            (BIG, 60000.6, 0.0, None, math.inf, None),
            (BIG, 60001.6, 0.0, None, math.inf, None),
            (BIG + 2, 60000.6, 1.0, -0.1, 60000.6, None),
        ]

    # --- reading back ---

    def test_tiles_hold_their_current_objects(self, apdb: OpenApdb) -> None:
        rows = [
            dia_object(BIG + 2, 60000.6),
            dia_object(BIG, 60000.6, raErr=None, decErr=float("nan"), nDiaSources=7),
            dia_object(5, 60000.6, ra=200.0, dec=40.0),
        ]
        other, empty = pixel(200, 40, 10), pixel(50, 0, 10)
        store(apdb, changes(FIRST, objects=rows))
        with apdb.exclusive(CELLS) as session:
            tiles = session.load_tiles(np.array([other, TILES[0], empty])).split()
        assert set(tiles) == {other, TILES[0], empty}
        assert len(tiles[empty]) == 0
        assert tiles[other].diaObjectId.tolist() == [5]
        here = tiles[TILES[0]]
        assert here.diaObjectId.tolist() == [BIG, BIG + 2]
        assert here.nDiaSources.tolist() == [7, 1]
        assert here.validityStartMjdTai.tolist() == [60000.6, 60000.6]
        np.testing.assert_array_equal(here.raErr, np.array([np.nan, 1e-5], np.float32))
        np.testing.assert_array_equal(here.decErr, np.array([np.nan, 2e-5], np.float32))
        assert here.raErr.dtype == np.float32

    def test_histories_come_in_order_of_processing(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2], psfFlux=1.1, scienceFluxErr=float("nan")))
        later = [
            source(
                BIG + 9, diaObjectId=BIG, timeProcessedMjdTai=60001.0, band="y", psfFlux_flag=True, midpointMjdTai=1.0
            ),
            source(BIG + 7, diaObjectId=BIG, timeProcessedMjdTai=60001.0, band="u", centroid_flag=None),
            source(BIG + 8, diaObjectId=BIG, timeProcessedMjdTai=60001.0, timeWithdrawnMjdTai=60002.0),
        ]
        store(apdb, changes(SECOND, later, [dia_object(BIG, 60001.0, nDiaSources=3)], time=60001.0))
        with apdb.exclusive(CELLS) as session:
            histories = session.load_histories(np.array([BIG + 2, 4, BIG]))
        assert histories.diaObjectId.tolist() == [BIG + 2, BIG]
        assert histories.validityStartMjdTai.tolist() == [60000.6, 60001.0]
        assert histories.offsets.tolist() == [0, 1, 4]
        points = histories.points
        assert points.band.tolist() == [2, 2, 0, 5]
        assert points.flag.tolist() == [False, False, False, True]
        assert points.midpointMjdTai.tolist() == [60000.5, 60000.5, 60000.5, 1.0]
        assert points.psfFlux[1] == np.float64(np.float32(1.1))
        np.testing.assert_array_equal(np.isnan(points.scienceFluxErr), [True, True, False, False])
        assert histories.ra_dec_Cov.tolist() == [np.float32(1e-12)] * 2

    # --- versions of objects ---

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

    def test_versions_supersede_each_other(self, apdb: OpenApdb, client: ApdbSql) -> None:
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

    # --- all or nothing ---

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

    def test_each_version_of_one_commit_ends_where_the_next_begins(self, apdb: OpenApdb, client: ApdbSql) -> None:
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

    def test_prepared_versions_end_as_they_would(self, apdb: OpenApdb, client: ApdbSql) -> None:
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

    def test_prepared_versions_stay_without_a_commit(self, apdb: OpenApdb, client: ApdbSql) -> None:
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

    def test_versions_stay_open_where_a_commit_is_refused(self, apdb: OpenApdb, client: ApdbSql) -> None:
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

    # --- re-processing ---

    def store_and_reprocess(self, apdb: OpenApdb) -> None:
        """Store two objects and a third that another batch adds to; then take back the first batch, but for one."""
        first = changes(
            FIRST,
            [source(BIG + k, timeProcessedMjdTai=60000.6) for k in (0, 2, 4)],
            [dia_object(BIG + k, 60000.6) for k in (0, 2, 4)],
            [forced(70 + k, BIG + k, *FIRST) for k in (0, 2, 4)],
            delta=3,
        )
        second = changes(
            SECOND,
            [source(BIG + 9, diaObjectId=BIG + 4, timeProcessedMjdTai=60001.0)],
            [dia_object(BIG + 4, 60001.0, nDiaSources=2)],
            time=60001.0,
            delta=-1,
        )
        again = changes(
            FIRST,
            [source(BIG, psfFlux=2.0, timeProcessedMjdTai=60002.0)],
            [dia_object(BIG, 60002.0), dia_object(BIG + 4, 60002.0)],
            [forced(80, BIG, *FIRST)],
            time=60002.0,
            revision=1,
            closed=[BIG + 2],
        )
        store(apdb, first, second)
        store(apdb, again)

    def test_rows_of_the_earlier_processing_are_replaced_or_withdrawn(self, apdb: OpenApdb, client: ApdbSql) -> None:
        self.store_and_reprocess(apdb)
        sources = self.select(client, "DiaSource", "diaSourceId", "psfFlux", "timeWithdrawnMjdTai")
        assert [(one, withdrawn) for one, _, withdrawn in sources] == [
            (BIG, None),
            (BIG + 2, 60002.0),
            (BIG + 4, 60002.0),
            (BIG + 9, None),
        ]
        assert sources[0][1] == 2.0
        forced_sources = self.select(client, "DiaForcedSource", "diaForcedSourceId", "timeWithdrawnMjdTai")
        assert forced_sources == [(72, 60002.0), (74, 60002.0), (80, None)]
        ends = self.select(client, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai")
        assert [end for identifier, _, end in ends if identifier == BIG + 2] == [60002.0]
        assert self.select(client, "DiaObjectLast", "diaObjectId") == [(BIG,), (BIG + 4,)]

    def test_what_counts_is_told(self, apdb: OpenApdb) -> None:
        self.store_and_reprocess(apdb)
        with apdb.exclusive(CELLS) as session:
            snapshot = session.read_snapshot([FIRST, SECOND], TILES)
            counted = session.counted_sources(FIRST)
            latest = session.latest_versions(np.array([BIG + 4, 3, BIG + 2, BIG]))
            histories = session.load_histories(np.array([BIG, BIG + 4]))
            without = session.load_histories(np.array([BIG, BIG + 4]), without=FIRST)
            nothing = session.counted_sources(BatchId(1, 1))
        assert [entry.revision for entry in snapshot.entries[FIRST]] == [0, 1]
        assert (counted.diaSourceId.tolist(), counted.diaObjectId.tolist()) == ([BIG], [BIG])
        assert len(nothing) == 0
        assert latest.positions.diaObjectId.tolist() == [BIG, BIG + 2, BIG + 4]
        assert latest.is_open.tolist() == [True, False, True]
        assert latest.positions.validityStartMjdTai.tolist() == [60002.0, 60000.6, 60002.0]
        assert histories.offsets.tolist() == [0, 1, 2]
        assert without.offsets.tolist() == [0, 0, 1]
        assert without.points.psfFlux.tolist() == [histories.points.psfFlux[1]]

    def test_each_processing_has_its_own_outbox_entry(self, apdb: OpenApdb) -> None:
        self.store_and_reprocess(apdb)
        assert [(*left.entry.key,) for left in apdb.unpublished()] == [(*FIRST, 0), (*SECOND, 0), (*FIRST, 1)]
        apdb.mark_published([BatchRevision(*FIRST, 1)])
        assert [left.entry.revision for left in apdb.unpublished()] == [0, 0]
        kept = apdb.outbox_entry(BatchRevision(*FIRST, 0))
        assert kept is not None
        assert kept.outputs == changes(FIRST).outputs

    def test_replicas_are_told_what_was_taken_back(self, apdb: OpenApdb, client: ApdbSql) -> None:
        self.store_and_reprocess(apdb)
        replica = client.get_replica()
        chunks = [chunk.id for chunk in replica.getReplicaChunks() or ()]
        assert self.upstream_chunk(60002.0) in chunks
        records = sorted(replica.getUpdateRecordChunks(chunks))
        told = [(record.update_type, *(value for _, value in record.record_id())) for record in records]
        assert told == [
            ("withdraw_diasource", BIG + 2),
            ("withdraw_diasource", BIG + 4),
            ("withdraw_diaforcedsource", BIG + 2, *FIRST),
            ("withdraw_diaforcedsource", BIG + 4, *FIRST),
            ("close_diaobject_validity", BIG + 2),
        ]
        assert {record.record_payload()[0][1] for record in records} == {60002.0}

    def test_a_reprocessing_that_is_refused_changes_nothing(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2]), new_objects(SECOND, [BIG + 9], time=60000.7))
        before = apdb.count_rows()
        refused = changes(FIRST, [source(BIG, midpointMjdTai=None)], time=60001.0, revision=1)
        with pytest.raises(RowsRefusedError, match="midpointMjdTai"):
            store(apdb, refused)
        stolen = changes(FIRST, [source(BIG), source(BIG + 9)], time=60001.0, revision=1)
        with pytest.raises(DuplicateSourceError, match=rf"diaSourceId {BIG + 9} is"):
            store(apdb, stolen)
        assert apdb.count_rows() == before
        with apdb.exclusive(CELLS) as session:
            assert session.counted_sources(FIRST).diaSourceId.tolist() == [BIG, BIG + 2]

    def test_the_same_revision_stored_meanwhile(self, apdb: OpenApdb) -> None:
        self.store_and_reprocess(apdb)
        with pytest.raises(LedgerConflictError):
            store(apdb, changes(FIRST, [source(BIG)], time=60003.0, revision=1))

    # --- exclusion ---

    def test_same_cell_is_exclusive(self, apdb: OpenApdb) -> None:
        inside = threading.Event()
        with apdb.exclusive(CELLS):
            waiting = threading.Thread(target=self._enter, args=(apdb, CELLS, inside))
            waiting.start()
            assert not inside.wait(0.3)
        assert inside.wait(20)
        waiting.join()

    def test_cells_are_free_after_an_error(self, apdb: OpenApdb) -> None:
        with pytest.raises(LookupError), apdb.exclusive(CELLS):
            raise LookupError
        inside = threading.Event()
        waiting = threading.Thread(target=self._enter, args=(apdb, CELLS, inside))
        waiting.start()
        assert inside.wait(20)
        waiting.join()

    def test_waiting_has_an_end(self, apdb: OpenApdb, url: str) -> None:
        other = self.open_impatiently(url)
        with apdb.exclusive(CELLS), pytest.raises(ApdbUnavailableError), other.exclusive(CELLS):
            pass
        with other.exclusive(CELLS):
            other.close()

    def test_reading_while_others_are_inside(self, apdb: OpenApdb) -> None:
        with apdb.exclusive(CELLS) as session:
            session.commit([changes(FIRST)])
            assert apdb.contains(FIRST)
            apdb.mark_published([BatchRevision(*FIRST, 0)])
        assert apdb.unpublished() == []

    @abstractmethod
    def open_impatiently(self, url: str) -> OpenApdb:
        """Return an adapter that does not wait for long."""

    @staticmethod
    def _enter(apdb: OpenApdb, cells: np.ndarray, inside: threading.Event) -> None:
        with apdb.exclusive(cells):
            inside.set()

    # --- what the real client sees ---

    def test_client_reads_our_rows(self, apdb: OpenApdb, client: ApdbSql) -> None:
        time = astropy.time.Time(60000.6, format="mjd", scale="tai")
        batch = changes(
            FIRST,
            [source(BIG, raErr=float("nan"), trailFlux=None, psfFlux=1.1), source(BIG + 2, glint_trail=True)],
            [dia_object(BIG, 60000.6), dia_object(BIG + 2, 60000.6, r_psfFluxSigma=float("inf"))],
            [forced(77, BIG, FIRST.visit, FIRST.detector, psfFluxErr=float("nan"))],
            delta=2,
        )
        store(apdb, batch)
        region = Circle(UnitVector3d(LonLat.fromDegrees(10.0, -5.0)), Angle.fromDegrees(0.1))
        objects = client.getDiaObjects(region)
        assert sorted(objects["diaObjectId"].tolist()) == [BIG, BIG + 2]
        assert objects["nDiaSources"].tolist() == [1, 1]
        sources = client.getDiaSources(region, [BIG, BIG + 2], time)
        assert sources is not None
        sources = sources.sort_values("diaSourceId")
        assert sources["diaSourceId"].tolist() == [BIG, BIG + 2]
        assert sources["psfFlux"].iloc[0] == pytest.approx(1.1, rel=1e-6)
        assert sources["reliabilityVersion"].tolist() == ["v1.2", "v1.2"]
        assert sources["raErr"].isna().tolist() == [True, True]
        assert [bool(flag) for flag in sources["glint_trail"].fillna(False)] == [False, True]
        forced_sources = client.getDiaForcedSources(region, [BIG], time)
        assert forced_sources is not None
        assert forced_sources["diaForcedSourceId"].tolist() == [77]
        assert forced_sources["psfFluxErr"].isna().tolist() == [True]
        assert client.containsVisitDetector(*FIRST, region, time)
        assert not client.containsVisitDetector(*SECOND, region, time)
        assert client.countUnassociatedObjects() == 2
        infinite = self.select(client, "DiaObject", "diaObjectId", "r_psfFluxSigma")
        assert infinite == [(BIG, None), (BIG + 2, float("inf"))]

    def test_client_reads_our_replica_chunks(self, apdb: OpenApdb, client: ApdbSql) -> None:
        times = [60000.6, 60000.6 + 1e-4, 60000.7]
        batches = [
            changes(
                BatchId(1, k),
                [source(BIG + k)],
                [dia_object(BIG, time)],
                [forced(k, BIG, 1, k)],
                time=time,
            )
            for k, time in enumerate(times)
        ]
        store(apdb, *batches[:2])
        replica = client.get_replica()
        earlier = replica.getReplicaChunks()
        store(apdb, batches[2])
        chunks = replica.getReplicaChunks()
        assert earlier is not None
        assert chunks is not None
        assert [chunk.id for chunk in chunks] == sorted({self.upstream_chunk(time) for time in times})
        assert chunks[0] == earlier[0]
        latest = chunks[0].last_update_time.tai.mjd
        assert latest == pytest.approx(times[1], abs=1e-9)
        ids = [chunk.id for chunk in chunks]
        rows = {
            name: len(replica.getTableDataChunks(name, ids).rows())
            for name in (ApdbTables.DiaObject, ApdbTables.DiaSource, ApdbTables.DiaForcedSource)
        }
        assert set(rows.values()) == {3}
        data = replica.getTableDataChunks(ApdbTables.DiaSource, ids[:1])
        place = list(data.column_names()).index("diaSourceId")
        assert sorted(row[place] for row in data.rows()) == [BIG, BIG + 1]

    def test_client_and_we_share_a_chunk(self, apdb: OpenApdb, client: ApdbSql) -> None:
        store(apdb, changes(FIRST, time=60000.6))
        before = client.get_replica().getReplicaChunks()
        store(apdb, changes(SECOND, time=60000.6 + 1e-4))
        after = client.get_replica().getReplicaChunks()
        assert before is not None
        assert after is not None
        assert [chunk.id for chunk in before] == [chunk.id for chunk in after]
        assert before[0].unique_id != after[0].unique_id
        assert after[0].last_update_time > before[0].last_update_time

    @staticmethod
    def upstream_chunk(time: float) -> int:
        from lsst.dax.apdb.apdbReplica import ReplicaChunk

        return ReplicaChunk.make_replica_chunk(astropy.time.Time(time, format="mjd", scale="tai"), 600).id

    @staticmethod
    def select(client: ApdbSql, table: str, *columns: str) -> list[tuple[object, ...]]:
        names = ", ".join(f'"{column}"' for column in columns)
        with client._engine.connect() as connection:
            rows = connection.exec_driver_sql(f'SELECT {names} FROM "{table}" ORDER BY {names}')
            return [tuple(row) for row in rows]
