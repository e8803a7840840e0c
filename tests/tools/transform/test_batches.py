from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.tools.transform.batches import batches
from stream_assoc.tools.transform.ephemerides import Ephemerides
from stream_assoc.tools.transform.mapping import load_mapping


def rubin_rows(rows):
    """Rows of (id, visit, detector, midpoint, processed)."""
    names = ("diaSourceId", "visit", "detector", "midpointMjdTai", "timeProcessedMjdTai")
    table = pa.table({name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)})
    fill = {
        "ra": 10.0,
        "dec": 0.0,
        "x": 0.0,
        "y": 0.0,
        "psfFlux": 100.0,
        "psfFluxErr": 1.0,
    }
    for name, value in {**fill, "band": "g"}.items():
        table = table.append_column(name, pa.repeat(pa.scalar(value), len(rows)))
    return table


ROWS = rubin_rows(
    [
        (5, 200, 1, 60002.0, 60002.1),
        (3, 100, 2, 60001.0, 60003.0),
        (9, 100, 1, 60001.0, 60001.1),
        (1, 200, 1, 60002.0, 60002.1),
        (7, 100, 2, 60001.0, 60001.2),
    ]
)


def listed(order):
    return [(*batch.id, batch.diaSourceId.tolist()) for batch in batches(ROWS, load_mapping("rubin"), order)]


def test_by_midpoint_a_detector_comes_once_as_last_processed() -> None:
    assert listed("midpoint") == [(100, 1, [9]), (100, 2, [3]), (200, 1, [5, 1])]


def test_by_arrival_each_processing_is_a_batch() -> None:
    assert listed("arrival") == [(100, 1, [9]), (100, 2, [7]), (200, 1, [5, 1]), (100, 2, [3])]


def test_the_order_of_the_rows_of_other_batches_changes_nothing() -> None:
    mapping = load_mapping("rubin")
    backwards = {batch.id: batch.digest for batch in batches(ROWS.take([1, 4, 2, 0, 3]), mapping)}
    assert backwards == {batch.id: batch.digest for batch in batches(ROWS, mapping)}


def test_an_empty_table_gives_no_batches() -> None:
    assert list(batches(ROWS.slice(0, 0), load_mapping("rubin"))) == []


@pytest.mark.real_data
class TestRealData:
    def read(self, shared_data, file, mapping, order="midpoint"):
        table = pq.read_table(shared_data / file)
        return table, list(batches(table, load_mapping(mapping), order))

    def check_messages(self, some) -> None:
        encoder, decoder = BatchEncoder(), BatchDecoder()
        for batch in some:
            read = decoder.decode(encoder.encode(batch))
            assert read.id == batch.id
            assert read.midpointMjdTai == batch.midpointMjdTai
            assert read.diaSources.equals(batch.diaSources)

    def test_decam_has_four_batches_of_two_visits(self, shared_data: Path) -> None:
        _, made = self.read(shared_data, "decam_hits/dia_source.parquet", "decam")
        assert {batch.id: len(batch) for batch in made} == {
            BatchId(411371, 56): 144,
            BatchId(411371, 60): 200,
            BatchId(411420, 5): 145,
            BatchId(411420, 10): 138,
        }
        self.check_messages(made)

    def test_decam_nearest_neighbours_reproduce_the_stored_objects(self, shared_data: Path) -> None:
        """The replay that gives 627 of 627, by brute force and without this package's association."""
        table, made = self.read(shared_data, "decam_hits/dia_source.parquet", "decam")
        stored = dict(zip(table["diaSourceId"].to_pylist(), table["diaObjectId"].to_pylist(), strict=True))
        first = [batch for batch in made if batch.id.visit == 411371]
        second = [batch for batch in made if batch.id.visit == 411420]
        assert all(stored[one] == one for batch in first for one in batch.diaSourceId.tolist())
        known_ids = np.concatenate([batch.diaSourceId for batch in first])
        known = np.concatenate([np.stack([batch.column("ra"), batch.column("dec")], axis=1) for batch in first])
        for batch in second:
            delta = np.stack([batch.column("ra"), batch.column("dec")], axis=1)[:, np.newaxis] - known
            delta[..., 0] *= np.cos(np.radians(known[:, 1]))
            separation = np.hypot(delta[..., 0], delta[..., 1]) * 3600.0
            nearest = separation.argmin(axis=1)
            matched = separation[np.arange(len(batch)), nearest] <= 1.0
            made_objects = np.where(matched, known_ids[nearest], batch.diaSourceId)
            assert made_objects.tolist() == [stored[one] for one in batch.diaSourceId.tolist()]

    def test_decam_ephemerides_are_where_two_asteroids_were_seen(self, shared_data: Path) -> None:
        _, made = self.read(shared_data, "decam_hits/dia_source.parquet", "decam")
        ephemerides = Ephemerides.from_table(pq.read_table(shared_data / "decam_hits/SsObjects.parquet"))
        nearest = []
        for batch in made:
            predicted = ephemerides.predict(batch.midpointMjdTai, batch.footprint)
            for ra, dec in zip(predicted.ra, predicted.dec, strict=True):
                east = (batch.column("ra") - ra) * np.cos(np.radians(dec))
                nearest.append(np.hypot(east, batch.column("dec") - dec).min() * 3600.0)
        assert sum(separation < 0.5 for separation in nearest) == 2

    def test_ztf_times_become_mid_exposure_tai(self, shared_data: Path) -> None:
        table, made = self.read(shared_data, "ztf/detections.parquet", "ztf")
        assert (len(made), sum(map(len, made))) == (8_482, 9_362)
        begin = dict(zip(table["visit"].to_pylist(), table["jd"].to_pylist(), strict=True))
        seconds = [(batch.midpointMjdTai - (begin[batch.id.visit] - 2_400_000.5)) * 86_400.0 for batch in made]
        np.testing.assert_allclose(seconds, 52.0, atol=1e-4)
        assert made[0].diaSources.column("reliability").null_count == len(made[0])
        self.check_messages(made[:200])

    def test_rubin_reprocessings_come_once_or_as_they_happened(self, shared_data: Path) -> None:
        """Four of the 26,972 detectors were processed again, 8 to 9 days later."""
        table = pq.read_table(shared_data / "rubin/sources.parquet")
        twice = [2026022200361, 2026022300078, 2026022300179, 2026022300353]
        table = table.filter(pc.is_in(table.column("visit"), pa.array(twice)))
        by_midpoint = list(batches(table, load_mapping("rubin")))
        by_arrival = list(batches(table, load_mapping("rubin"), "arrival"))
        assert len(by_arrival) - len(by_midpoint) == 4
        assert sum(map(len, by_arrival)) == table.num_rows
        assert sum(map(len, by_midpoint)) == table.num_rows - 4
        assert {batch.id for batch in by_arrival} == {batch.id for batch in by_midpoint}
        for batch in by_midpoint:
            footprint = ConvexFootprint.from_vertices(batch.footprint)
            assert footprint.contains(batch.column("ra"), batch.column("dec")).all()
        self.check_messages(by_arrival)
