"""What a session reads of what was stored."""

import contextlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.forced import GoodSources
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.testing.case import ApdbCase
from stream_assoc.testing.rows import (
    BIG,
    CELLS,
    FIRST,
    SECOND,
    TILES,
    changes,
    dia_object,
    forced,
    new_objects,
    pixel,
    source,
    store,
)


class ReadingTests(ApdbCase):
    """What a session reads of what was stored."""

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
            assert session.has_good_source(np.empty(0, np.int64), None).tolist() == []
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

    def test_further_statistics_are_rows_beside_those_of_the_objects(self, apdb: OpenApdb, place: ApdbUrl) -> None:
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
        with contextlib.closing(place.open_reader(DEFAULT_PATIENCE, any_version=False)) as reader:
            further = reader.all_further_statistics()
        names = ["diaObjectId", "validityStartMjdTai", "flags", "r_psfFluxSkew", "y_multiPhase", "g_psfFluxChi2"]
        rows = [
            tuple(None if isinstance(value, float) and math.isnan(value) else value for value in row.values())
            for row in further.select(names).to_pylist()
        ]
        assert sorted(rows, key=lambda row: row[:2]) == [
            (5, 60001.6, 1.0, -0.1, 60001.6, None),
            (BIG, 60000.6, 0.0, None, math.inf, None),
            (BIG, 60001.6, 0.0, None, math.inf, None),
            (BIG + 2, 60000.6, 1.0, -0.1, 60000.6, None),
        ]
