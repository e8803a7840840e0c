"""What every reader must answer, whatever database it reads."""

import threading
from abc import ABC, abstractmethod

import numpy as np
import pyarrow.compute as pc
import pytest

from stream_assoc.core.model.alerts import AsOf
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.sky.vectors import separation_arcsec
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.reading.port import MAX_ROWS, AnswerTooLargeError, ApdbReader, NotStoredError
from tests.pipeline.skies import night
from tests.stores.apdb.reading.nights import StoredNight
from tests.stores.apdb.reading.stored import BEGIN, FORCED_BATCH, SECOND

UNKNOWN = 2**62 + 12345


def ids(table, name="diaSourceId"):
    return table[name].to_pylist()


class ReaderConformance(ABC):
    """Tests of one adapter; a subclass says where the night is stored, and what is missing elsewhere."""

    most_rows = "stream_assoc.stores.apdb.sql.reading._SEARCH_ROWS"
    """The constant that says how many objects are read for one circle."""

    @pytest.fixture
    @abstractmethod
    def stored(self) -> StoredNight: ...

    @pytest.fixture
    @abstractmethod
    def empty_url(self) -> str: ...

    @pytest.fixture
    def reader(self, stored: StoredNight):
        reader = open_reader(stored.url)
        yield reader
        reader.close()

    @pytest.fixture
    def every_object(self, reader):
        """Latest versions of all objects of the night, which is small enough."""
        return reader.recent_objects(100_000)

    @pytest.fixture
    def empty(self, empty_url: str):
        reader = open_reader(empty_url)
        yield reader
        reader.close()

    @pytest.mark.parametrize("identifier", [2**63, 10**400, -(2**63) - 1])
    def test_an_id_beyond_64_bits_is_not_there(self, reader: ApdbReader, identifier: int) -> None:
        for ask in (reader.source, reader.versions, reader.first_version, reader.forced_sources):
            with pytest.raises(NotStoredError, match="64 bits"):
                ask(identifier)
        for batch in (BatchId(identifier, 0), BatchId(0, identifier)):
            with pytest.raises(NotStoredError, match="64 bits"):
                reader.processings(batch)
            with pytest.raises(NotStoredError, match="64 bits"):
                reader.sources_of_batch(batch)

    @pytest.mark.parametrize("limit", [MAX_ROWS + 1, 10_000_000, -1])
    def test_no_answer_is_unbounded(self, reader: ApdbReader, limit: int) -> None:
        one, position = np.array([1]), np.array([10.0])
        for ask in (
            lambda: reader.versions(1, limit),
            lambda: reader.recent_objects(limit),
            lambda: reader.near(10.0, 20.0, 1.0, limit),
            lambda: reader.sky_before(position, position, 2.0, 63_000.0, limit),
            lambda: reader.sources_of_objects(one, limit),
            lambda: reader.forced_sources(1, limit),
            lambda: reader.sources_before(one, AsOf(63_000.0, 0.0), limit),
            lambda: reader.forced_sources_until(one, AsOf(63_000.0, 0.0), limit),
            lambda: reader.sources_of_batch(BatchId(1, 1), limit=limit),
            lambda: reader.recent_batches(limit),
            lambda: reader.coverage(10, 6, limit),
        ):
            with pytest.raises(ValueError, match="read at once"):
                ask()

    def test_a_sky_with_too_many_objects_is_refused(self, reader: ApdbReader) -> None:
        batch = night()[-1]
        (entry,) = reader.processings(batch.id)
        stored = reader.sources_of_batch(batch.id)
        ra, dec, time = stored["ra"].to_numpy(), stored["dec"].to_numpy(), entry.timeProcessedMjdTai
        n = len(reader.sky_before(ra, dec, 2.0, time))
        assert len(reader.sky_before(ra, dec, 2.0, time, n)) == n
        with pytest.raises(AnswerTooLargeError, match=f"more than {n - 1}"):
            reader.sky_before(ra, dec, 2.0, time, n - 1)

    def test_the_overview_counts(self, reader, every_object) -> None:
        overview = reader.overview()
        single = pc.sum(pc.equal(every_object["nDiaSources"], 1)).as_py()
        assert overview.n_single_source == single
        assert overview.n_objects == every_object.num_rows
        assert overview.n_object_versions >= overview.n_objects
        assert overview.n_sources == sum(entry.n_stored for entry in reader.recent_batches(100))
        assert overview.n_forced_sources == 1
        assert overview.last_processed == pytest.approx(BEGIN + len(night()) * SECOND, abs=SECOND / 2)

    def test_nothing_is_no_trouble(self, empty) -> None:
        overview = empty.overview()
        assert (overview.n_objects, overview.n_sources, overview.n_single_source) == (0, 0, 0)
        assert overview.last_processed is None
        assert empty.recent_objects().num_rows == empty.versions(UNKNOWN).num_rows == 0
        assert empty.source(UNKNOWN).num_rows == empty.forced_sources(UNKNOWN).num_rows == 0
        assert empty.first_version(UNKNOWN) is None
        assert empty.recent_batches() == []
        assert empty.processings(BatchId(1, 2)) == ()
        assert len(empty.near(10.0, 20.0, 1.0).objects) == 0
        assert len(empty.sky_before(np.array([10.0]), np.array([20.0]), 2.0, 63_000.0)) == 0
        assert [len(column) for column in empty.coverage(10, 6)] == [0, 0]

    def test_versions_follow_each_other(self, reader, every_object) -> None:
        chosen = every_object.sort_by([("nDiaSources", "descending")])["diaObjectId"][0].as_py()
        versions = reader.versions(chosen)
        starts = versions["validityStartMjdTai"].to_pylist()
        assert starts == sorted(starts, reverse=True)
        assert versions["validityEndMjdTai"].to_pylist() == [None, *starts[:-1]]
        assert reader.first_version(chosen) == starts[-1]
        assert versions.column_names == list(apdb_table("DiaObject").names)
        assert reader.versions(chosen, 1).num_rows == 1

    def test_a_source_is_found_by_its_id_with_every_column(self, reader) -> None:
        stored = reader.sources_of_batch(night()[0].id)
        one = reader.source(ids(stored)[3])
        assert one.to_pylist() == stored.slice(3, 1).to_pylist()
        assert one.schema.field("diaSourceId").type == apdb_table("DiaSource").column("diaSourceId").arrow_type
        assert isinstance(one["centroid_flag"][0].as_py(), bool | None)

    def test_sources_of_a_batch_are_those_it_brought(self, reader) -> None:
        batch = night()[2]
        stored = reader.sources_of_batch(batch.id)
        (entry,) = reader.processings(batch.id)
        assert stored.num_rows == entry.n_stored
        assert set(ids(stored)) <= set(batch.diaSourceId.tolist())
        assert ids(stored) == sorted(ids(stored))
        assert ids(reader.sources_of_batch(batch.id, entry.timeProcessedMjdTai)) == ids(stored)
        assert reader.sources_of_batch(batch.id, entry.timeProcessedMjdTai + SECOND).num_rows == 0
        assert reader.sources_of_batch(batch.id, limit=3, columns=["ra"]).shape == (3, 1)

    def test_a_light_curve_has_as_many_points_as_the_object_says(self, reader, every_object) -> None:
        counts = dict(zip(ids(every_object, "diaObjectId"), every_object["nDiaSources"].to_pylist(), strict=True))
        some = np.array(list(counts)[:50])
        sources = reader.sources_of_objects(some)
        found = {value["values"]: value["counts"] for value in sources["diaObjectId"].value_counts().to_pylist()}
        assert found == {identifier: counts[identifier] for identifier in some.tolist()}

    def test_the_past_of_objects_is_what_counted_then(self, reader, every_object) -> None:
        (entry,) = reader.processings(night()[4].id)
        then = entry.timeProcessedMjdTai
        sources = reader.sources_of_objects(every_object["diaObjectId"].to_numpy(), MAX_ROWS)
        since = float(np.unique(sources["midpointMjdTai"].to_numpy())[1])
        counted = pc.and_(
            pc.less(sources["timeProcessedMjdTai"], then), pc.greater_equal(sources["midpointMjdTai"], since)
        )
        order = [(name, "ascending") for name in ("diaObjectId", "midpointMjdTai", "diaSourceId")]
        past = reader.sources_before(every_object["diaObjectId"].to_numpy(), AsOf(then, since))
        assert past.to_pylist() == sources.filter(counted).sort_by(order).to_pylist()
        assert 0 < past.num_rows < sources.num_rows
        few = np.unique(past["diaObjectId"].to_numpy())[:2]
        assert set(ids(reader.sources_before(few, AsOf(then, since)), "diaObjectId")) == set(few.tolist())
        assert reader.sources_before(few, AsOf(then, since), 1).num_rows == 1

    def test_the_versions_that_a_batch_made_are_found(self, reader, every_object) -> None:
        (entry,) = reader.processings(night()[4].id)
        everything = reader.all_versions()
        expected = everything.filter(pc.equal(everything["validityStartMjdTai"], entry.timeProcessedMjdTai))
        made = reader.versions_made(every_object["diaObjectId"].to_numpy(), entry.timeProcessedMjdTai)
        assert made.sort_by("diaObjectId").to_pylist() == expected.sort_by("diaObjectId").to_pylist()
        assert made.num_rows
        assert reader.versions_made(np.empty(0, np.int64), entry.timeProcessedMjdTai).num_rows == 0

    def test_forced_photometry_of_the_past_is_read(self, reader, stored: StoredNight) -> None:
        objects, (row,) = np.array([stored.forced_object]), reader.forced_sources(stored.forced_object).to_pylist()
        processed, midpoint = row["timeProcessedMjdTai"], row["midpointMjdTai"]
        assert reader.forced_sources_until(objects, AsOf(processed, midpoint)).to_pylist() == [row]
        assert reader.forced_sources_until(objects, AsOf(processed - SECOND, midpoint)).num_rows == 0
        assert reader.forced_sources_until(objects, AsOf(processed, midpoint + SECOND)).num_rows == 0

    def test_the_ledger_tells_what_the_message_told(self, reader) -> None:
        (entry,) = reader.processings(FORCED_BATCH)
        assert entry.images.difference == f"s3://images/{FORCED_BATCH.visit}/difference.fits"
        assert (entry.images.science, entry.images.template) == (None, "file:///images/template, 1.fits")
        assert (entry.observation.reason, entry.observation.target) == ("ddf_cosmos", None)

    def test_forced_photometry_is_read(self, reader, stored: StoredNight) -> None:
        (row,) = reader.forced_sources(stored.forced_object).to_pylist()
        assert (row["visit"], row["detector"], row["band"]) == (*FORCED_BATCH, "g")
        assert (row["psfFlux"], row["psfFluxErr"], row["scienceFlux"]) == (1.5, 2.5, 3.5)

    @pytest.mark.parametrize("radius_deg", [0.001, 0.02, 0.3, 5.0])
    def test_a_cone_holds_all_that_is_near_and_nothing_else(self, reader, every_object, radius_deg: float) -> None:
        ra, dec = every_object["ra"][0].as_py() + 0.0001, every_object["dec"][0].as_py()
        separation = separation_arcsec(ra, dec, every_object["ra"].to_numpy(), every_object["dec"].to_numpy())
        inside = separation <= 3600.0 * radius_deg
        nearby = reader.near(ra, dec, radius_deg, limit=100_000)
        expected = every_object["diaObjectId"].to_numpy()[inside]
        assert nearby.is_complete
        assert set(nearby.objects.diaObjectId.tolist()) == set(expected.tolist())
        assert np.all(np.diff(nearby.separation_arcsec) >= 0)

    def test_a_cone_that_is_cut_says_so_and_keeps_the_nearest(self, reader, every_object) -> None:
        ra, dec = every_object["ra"][0].as_py(), every_object["dec"][0].as_py()
        whole = reader.near(ra, dec, 5.0, limit=100_000)
        cut = reader.near(ra, dec, 5.0, limit=7)
        assert not cut.is_complete
        assert cut.objects.diaObjectId.tolist() == whole.objects.diaObjectId[:7].tolist()

    def test_a_cone_that_holds_too_much_is_narrowed_to_the_nearest(
        self, reader, every_object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(self.most_rows, 40)
        ra, dec = every_object["ra"][0].as_py(), every_object["dec"][0].as_py()
        cut = reader.near(ra, dec, 5.0)
        separation = separation_arcsec(ra, dec, every_object["ra"].to_numpy(), every_object["dec"].to_numpy())
        nearest = every_object["diaObjectId"].to_numpy()[np.argsort(separation, kind="stable")]
        assert 0 < len(cut.objects) < 40
        assert not cut.is_complete
        assert cut.objects.diaObjectId.tolist() == nearest[: len(cut.objects)].tolist()

    def test_the_sky_before_a_batch_is_that_of_the_batches_before(self, reader) -> None:
        batch = night()[4]
        (entry,) = reader.processings(batch.id)
        stored = reader.sources_of_batch(batch.id)
        sky = reader.sky_before(stored["ra"].to_numpy(), stored["dec"].to_numpy(), 2.0, entry.timeProcessedMjdTai)
        earlier = {earlier_batch.id for earlier_batch in night()[:4]}
        assert len(sky)
        assert sky.diaObjectId.tolist() == sorted(set(sky.diaObjectId.tolist()))
        assert np.all(sky.validityStartMjdTai < entry.timeProcessedMjdTai)
        sources = reader.sources_of_objects(sky.diaObjectId)
        before = sources.filter(pc.less(sources["timeProcessedMjdTai"], entry.timeProcessedMjdTai))
        assert before.num_rows == sky.nDiaSources.sum()
        assert {
            (visit, detector) for visit, detector in zip(ids(before, "visit"), ids(before, "detector"), strict=True)
        } <= earlier

    def test_the_highest_visits_come_first(self, reader) -> None:
        keys = [entry.key for entry in reader.recent_batches(3)]
        assert keys == sorted(keys, reverse=True)
        assert keys[0].visit == FORCED_BATCH.visit or keys[0].visit == max(batch.id.visit for batch in night())

    def test_coverage_is_where_the_objects_are(self, reader, every_object) -> None:
        trixels, changes = reader.coverage(10, 6)
        of_objects = htm_index(every_object["ra"].to_numpy(), every_object["dec"].to_numpy(), 6)
        assert set(of_objects.tolist()) <= set(trixels.tolist())
        assert np.all(changes > 0)
        assert len(reader.coverage(10, 10, limit=2)[0]) == 2

    def test_whole_columns_are_those_of_the_lookups(self, reader, every_object) -> None:
        versions = reader.all_versions(["diaObjectId", "validityStartMjdTai", "validityEndMjdTai"])
        current = reader.all_versions(only_current=True)
        assert versions.num_rows == reader.overview().n_object_versions
        assert pc.sum(pc.is_null(versions["validityEndMjdTai"])).as_py() == current.num_rows
        assert current.sort_by("diaObjectId").to_pylist() == every_object.sort_by("diaObjectId").to_pylist()
        last = reader.objects_observed_since(0.0, ["diaObjectId"])
        assert sorted(ids(last, "diaObjectId")) == sorted(ids(every_object, "diaObjectId"))
        further = reader.all_further_statistics()
        assert further.column_names[:2] == ["diaObjectId", "validityStartMjdTai"]
        (forced,) = reader.all_forced_sources(["visit", "detector", "band"]).to_pylist()
        assert forced == {"visit": FORCED_BATCH.visit, "detector": FORCED_BATCH.detector, "band": "g"}

    def test_whole_sources_are_chosen_by_time_and_by_whether_they_count(self, reader) -> None:
        sources = reader.all_sources()
        assert sources.column_names == list(apdb_table("DiaSource").names)
        assert sources.num_rows == reader.overview().n_sources
        midpoint = sources["midpointMjdTai"].to_numpy()
        begin, end = np.unique(midpoint)[[1, 3]]
        chosen = reader.all_sources(["diaSourceId"], only_counted=True, observed=(begin, end))
        is_chosen = (midpoint >= begin) & (midpoint < end) & pc.is_null(sources["timeWithdrawnMjdTai"]).to_numpy()
        assert sorted(ids(chosen)) == sorted(sources["diaSourceId"].to_numpy()[is_chosen].tolist())
        assert chosen.num_rows

    def test_threads_share_it(self, reader, every_object) -> None:
        found: list[int] = []

        def look() -> None:
            found.extend(
                reader.versions(identifier, 1).num_rows for identifier in ids(every_object, "diaObjectId")[:20]
            )

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [1] * 80

    def test_a_database_that_is_no_apdb_is_refused_with_the_remedy(self, missing_url) -> None:
        with pytest.raises(ApdbSchemaError, match="stream-assoc apdb init"):
            open_reader(missing_url)


class SqlReaderConformance(ReaderConformance):
    """What every reader of an SQL database must answer besides."""

    def test_it_cannot_write(self, reader) -> None:
        with pytest.raises(Exception, match=r"read-only|readonly"):
            reader._database.fetch("DELETE FROM {DiaSource}")

    def test_a_scan_that_is_given_up_leaves_the_reader_usable(self, reader) -> None:
        rows = reader._database.stream('SELECT "diaSourceId" FROM {DiaSource}')
        assert next(rows)
        rows.close()
        assert reader.all_sources(["diaSourceId"]).num_rows
