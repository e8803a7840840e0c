"""A batch that takes the place of an earlier one: its old sources count no longer, its new ones do."""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.batch import SolarSystemObjects
from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.avro.output_decoder import decode_objects
from stream_assoc.pipeline.batches import Arrival, Processed, Redelivered, Rejected, arrive
from stream_assoc.pipeline.exceptions import ConflictingBatchError, DuplicateSourceError
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.exceptions import CacheUnavailableError
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from tests.contents import ALL_TABLES, COUNTER, LEDGER, SCIENCE_TABLES, column, columns, contents
from tests.pipeline.photometers import Photometer, with_images
from tests.pipeline.skies import (
    ARCSEC,
    BIG,
    apdb_url,
    batch,
    night,
    pinned_services,
    position,
    process_from,
    processed_from,
    square,
)

RA, DEC = 150.0, 2.0


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = pinned_services(tmp_path)
    yield made
    made.apdb.close()


def reprocessed(services, offset, one):
    """Process a batch that is marked as a re-processing."""
    (outcome,) = process_batches([arrive(one, services, position(offset), reprocessing=True)], services)
    return outcome


def stars(visit, places, ids=None, **columns):
    """Return a batch of sources this many arcsec north of a point."""
    footprint = columns.pop("footprint", square(RA, DEC))
    n = len(places)
    return batch(visit, [RA] * n, [DEC + place * ARCSEC for place in places], ids=ids, footprint=footprint, **columns)


def assert_stores_agree(services: Services, folder: Path) -> None:
    """Check everything that rows and cached values say twice."""
    assert isinstance(services.cache, MemoryCache)
    stores = Stores(services.apdb, services.cache, services.calculator, services.partition)
    found = sum(verify(stores, services.apdb.known_tiles()), Verification())
    assert found.n_left == 0
    assert found.states.missing + found.states.stale + found.tiles.missing + found.tiles.stale == 0

    url = apdb_url(folder)
    counted = Counter(
        owner for owner, withdrawn in columns(url, "DiaSource", "diaObjectId", "timeWithdrawnMjdTai") if not withdrawn
    )
    del counted[None]
    last: dict[int, int] = dict(columns(url, "DiaObjectLast", "diaObjectId", "nDiaSources"))
    assert last == counted
    versions = columns(url, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai")
    assert sorted(one for one, _, end in versions if end is None) == sorted(last)
    assert all(end is None or start < end for _, start, end in versions)
    (n_single,) = contents(url, COUNTER)[COUNTER][0]
    assert n_single == list(last.values()).count(1)


def test_old_sources_are_withdrawn_and_new_ones_associated(services: Services, tmp_path: Path) -> None:
    first = stars(1, [0, 10, 20])
    process_from(services, 0, first, stars(2, [0.1, 10.1]))
    again = stars(1, [0.2, 30], ids=[BIG + 71, BIG + 72])
    outcome = reprocessed(services, 2, again)
    assert isinstance(outcome, Processed)
    metrics = outcome.metrics
    assert (metrics.revision, metrics.numWithdrawnDiaSources, metrics.numClosedDiaObjects) == (1, 3, 1)
    assert (metrics.numAssociatedDiaSources, metrics.numNewDiaObjects) == (1, 1)
    founded = first.diaSourceId.tolist()
    assert dict(columns(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId", "nDiaSources")) == {
        founded[0]: 2,
        founded[1]: 1,
        BIG + 72: 1,
    }
    withdrawn = columns(apdb_url(tmp_path), "DiaSource", "diaSourceId", "timeWithdrawnMjdTai")
    assert {source for source, time in withdrawn if time == metrics.timeProcessedMjdTai} == set(founded)
    assert_stores_agree(services, tmp_path)


def test_an_empty_cache_changes_nothing(tmp_path: Path) -> None:
    everything = []
    for name in ("warm", "cold"):
        services = pinned_services(tmp_path / name)
        process_from(services, 0, stars(1, [0, 10, 20]), stars(2, [0.1, 10.1]))
        if name == "cold":
            assert isinstance(services.cache, MemoryCache)
            services.cache.flush()
        outcome = reprocessed(services, 2, stars(1, [0.2, 30], ids=[BIG + 71, BIG + 72]))
        services.apdb.close()
        everything.append((outcome, contents(apdb_url(tmp_path / name), *ALL_TABLES)))
    assert everything[0] == everything[1]


def test_each_changed_object_has_one_version_and_one_message(services: Services, tmp_path: Path) -> None:
    first = stars(1, [0, 10, 20])
    process_from(services, 0, first, stars(2, [0.1, 10.1]))
    outcome = reprocessed(services, 2, stars(1, [0.2, 30], ids=[BIG + 71, BIG + 72]))
    ids = first.diaSourceId.tolist()
    objects = outcome.outputs[:-1]
    assert sorted(int(one.key) for one in objects) == sorted([*ids, BIG + 72])
    tombstones = [one for one in objects if one.value is None]
    assert [int(one.key) for one in tombstones] == [ids[2]]
    ended = repr(outcome.metrics.timeProcessedMjdTai).encode()
    assert tombstones[0].headers == (("validityEndMjdTai", ended),)
    published = decode_objects([one.value for one in objects])
    n_sources = dict(zip(published["diaObjectId"].to_pylist(), published["nDiaSources"].to_pylist(), strict=True))
    assert n_sources == {ids[0]: 2, ids[1]: 1, BIG + 72: 1}
    starts = Counter(start for start in column(apdb_url(tmp_path), "DiaObject", "validityStartMjdTai"))
    assert starts[outcome.metrics.timeProcessedMjdTai] == 3


def test_the_same_ids_are_replaced(services: Services, tmp_path: Path) -> None:
    first = stars(1, [0, 10])
    process_from(services, 0, first, stars(2, [0.1]))
    outcome = reprocessed(services, 2, stars(1, [0.3, 10.2], psfFlux=np.array([7.0, 8.0])))
    assert outcome.metrics.numClosedDiaObjects == 0
    rows = columns(apdb_url(tmp_path), "DiaSource", "diaSourceId", "psfFlux", "timeWithdrawnMjdTai")
    assert [row for row in rows if row[0] in first.diaSourceId] == [
        (first.diaSourceId[0], 7.0, None),
        (first.diaSourceId[1], 8.0, None),
    ]
    assert dict(columns(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId", "nDiaSources")) == {
        int(first.diaSourceId[0]): 2,
        int(first.diaSourceId[1]): 1,
    }
    assert_stores_agree(services, tmp_path)


def test_an_id_that_names_a_living_object_elsewhere_is_not_given_twice(services: Services, tmp_path: Path) -> None:
    first = stars(1, [0])
    process_from(services, 0, first, stars(2, [0.1]))
    name = int(first.diaSourceId[0])
    reprocessed(services, 2, stars(1, [50]))
    other = min(column(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId"))
    assert other < 0
    assert_stores_agree(services, tmp_path)
    outcome = reprocessed(services, 3, stars(1, [100]))
    assert outcome.metrics.numClosedDiaObjects == 1
    names = column(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId")
    assert name in names
    assert other not in names
    assert_stores_agree(services, tmp_path)


def test_a_withdrawn_source_may_come_back(services: Services, tmp_path: Path) -> None:
    first = stars(1, [0, 10])
    process_from(services, 0, first)
    reprocessed(services, 1, stars(1, [0], psfFlux=np.array([7.0])))
    reprocessed(services, 2, stars(1, [40, 0], psfFlux=np.array([8.0, 9.0])))
    assert dict(columns(apdb_url(tmp_path), "DiaSource", "diaSourceId", "psfFlux")) == {
        int(first.diaSourceId[0]): 8.0,
        int(first.diaSourceId[1]): 9.0,
    }
    assert_stores_agree(services, tmp_path)


def test_an_empty_batch_takes_everything_back(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, stars(1, [0, 10]))
    outcome = reprocessed(services, 1, stars(1, []))
    assert (outcome.metrics.numWithdrawnDiaSources, outcome.metrics.numClosedDiaObjects) == (2, 2)
    assert outcome.metrics.totalUnassociatedDiaObjects == 0
    assert column(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId") == []
    assert_stores_agree(services, tmp_path)
    (later,) = processed_from(services, 2, stars(3, [0.1]))
    assert later.metrics.numNewDiaObjects == 1, "a closed object is not in the way"


def test_old_sources_may_lie_outside_of_the_new_region(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, stars(1, [0]), stars(2, [0.2]))
    elsewhere = batch(1, [RA + 5.0], [DEC], ids=[BIG + 71], footprint=square(RA + 5.0, DEC))
    outcome = reprocessed(services, 2, elsewhere)
    assert outcome.metrics.numWithdrawnDiaSources == 1
    assert sorted(column(apdb_url(tmp_path), "DiaObjectLast", "nDiaSources")) == [1, 1]
    assert_stores_agree(services, tmp_path)


def test_solar_system_sources_are_withdrawn_too(services: Services, tmp_path: Path) -> None:
    moving = SolarSystemObjects(np.array([2**55 + 1]), np.array([RA]), np.array([DEC]))
    process_from(services, 0, stars(1, [0, 10], solar_system_objects=moving))
    reprocessed(services, 1, stars(1, [0], ids=[BIG + 71]))
    rows = columns(apdb_url(tmp_path), "DiaSource", "diaSourceId", "ssObjectId", "timeWithdrawnMjdTai")
    assert {withdrawn is None for source, owner, withdrawn in rows if owner is not None} == {False}
    assert column(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId") == [BIG + 71]
    assert_stores_agree(services, tmp_path)


def test_forced_sources_are_withdrawn_or_replaced(services: Services, tmp_path: Path) -> None:
    services = replace(services, photometer=Photometer())
    first = with_images(stars(1, [0, 10]))
    process_from(services, 0, first, stars(2, [0.1]))
    outcome = reprocessed(services, 2, with_images(stars(1, [0.2, 30], ids=[BIG + 71, BIG + 72])))
    time = outcome.metrics.timeProcessedMjdTai
    names = ("diaObjectId", "timeProcessedMjdTai", "timeWithdrawnMjdTai")
    rows = columns(apdb_url(tmp_path), "DiaForcedSource", "visit", *names)
    kept, ended = first.diaSourceId.tolist()
    of_visit = {owner: (processed == time, withdrawn) for visit, owner, processed, withdrawn in rows if visit == 1}
    assert of_visit == {kept: (True, None), ended: (False, time), BIG + 72: (True, None)}


@pytest.mark.integration
def test_postgresql_comes_to_the_same(services: Services, tmp_path: Path, postgresql_database: str) -> None:
    init(postgresql_database)
    other = replace(services, apdb=open_apdb(postgresql_database), cache=MemoryCache(services.layout))
    for one in (services, other):
        process_from(one, 0, stars(1, [0, 10, 20]), stars(2, [0.1, 10.1]))
        reprocessed(one, 2, stars(1, [0.2, 50, 30]))
        reprocessed(one, 3, stars(1, [0.3, 20], ids=[BIG + 71, BIG + 72]))
        reprocessed(one, 4, stars(2, []))
        process_from(one, 5, stars(3, [0, 10, 20, 30, 50]))
    other.apdb.close()
    tables = (*SCIENCE_TABLES, LEDGER, COUNTER)
    assert contents(postgresql_database, *tables) == contents(apdb_url(tmp_path), *tables)


def test_an_unmarked_one_is_a_conflict_that_names_the_remedy(services: Services) -> None:
    process_from(services, 0, stars(1, [0]))
    (outcome,) = process_from(services, 1, stars(1, [5]))
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, ConflictingBatchError)
    assert "stream_assoc.reprocessing" in str(outcome.error)
    assert "dlq replay --as-reprocessing" in str(outcome.error)


def test_a_marked_batch_that_is_unknown_is_processed_as_any_other(tmp_path: Path) -> None:
    alone, marked = (pinned_services(tmp_path / name) for name in ("alone", "marked"))
    expected = process_from(alone, 0, *night()[:2])
    assert [reprocessed(marked, i, one) for i, one in enumerate(night()[:2])] == expected
    everything = [contents(apdb_url(tmp_path / name), *ALL_TABLES) for name in ("alone", "marked")]
    assert everything[0] == everything[1]
    for one in (alone, marked):
        one.apdb.close()


def test_copies_of_every_content_change_nothing(services: Services, tmp_path: Path) -> None:
    original, other, third = (stars(1, [place]) for place in (0, 5, 9))
    (first,) = processed_from(services, 0, original)
    second = reprocessed(services, 1, other)
    last = reprocessed(services, 2, third)
    before = contents(apdb_url(tmp_path), *ALL_TABLES)
    copies = [
        arrive(one, services, position(offset), reprocessing=marked)
        for one in (original, other, third)
        for offset, marked in ((7, False), (8, True), (9, False))
    ]
    outcomes = process_batches(copies, services)
    assert all(isinstance(outcome, Redelivered) and outcome.outputs == () for outcome in outcomes)
    assert [outcome.revision for outcome in outcomes if isinstance(outcome, Redelivered)] == [
        0,
        0,
        0,
        1,
        1,
        1,
        2,
        2,
        2,
    ]
    redelivered = [
        process_batches([arrive(one, services, position(i), reprocessing=i > 0)], services)[0]
        for i, one in enumerate((original, other, third))
    ]
    assert [outcome.outputs for outcome in redelivered if isinstance(outcome, Redelivered)] == [
        first.outputs,
        second.outputs,
        last.outputs,
    ]
    assert contents(apdb_url(tmp_path), *ALL_TABLES) == before
    services.apdb.mark_published([second.key])
    assert [entry.entry.revision for entry in services.apdb.unpublished()] == [0, 2]


def test_original_and_reprocessing_in_one_micro_batch(tmp_path: Path) -> None:
    together, one_by_one = (pinned_services(tmp_path / name) for name in ("together", "one by one"))
    sequence = [
        (stars(1, [0, 10]), False),
        (stars(2, [0.1]), False),
        (stars(1, [0.2, 30]), True),
        (stars(3, [0.3, 10.1]), False),
    ]

    def arrivals(services: Services) -> list[Arrival]:
        return [arrive(one, services, position(i), reprocessing=mark) for i, (one, mark) in enumerate(sequence)]

    outcomes = process_batches(arrivals(together), together)
    assert [process_batches([arrival], one_by_one)[0] for arrival in arrivals(one_by_one)] == outcomes
    everything = [contents(apdb_url(tmp_path / name), *ALL_TABLES) for name in ("together", "one by one")]
    assert everything[0] == everything[1]
    again = process_batches(arrivals(together), together)
    processed = [outcome for outcome in outcomes if isinstance(outcome, Processed)]
    assert len(processed) == len(sequence)
    assert again == [Redelivered(outcome.id, outcome.outputs, outcome.revision) for outcome in processed]
    for one in (together, one_by_one):
        one.apdb.close()


def test_what_can_never_be_processed_changes_nothing(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, stars(1, [0, 10]), stars(2, [0.1]))
    before = contents(apdb_url(tmp_path), *ALL_TABLES)
    stolen = stars(1, [0, 20], ids=[BIG + 71, int(stars(2, [0]).diaSourceId[0])])
    outcome = reprocessed(services, 2, stolen)
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, DuplicateSourceError)
    assert str(stars(2, [0]).diaSourceId[0]) in str(outcome.error)
    assert contents(apdb_url(tmp_path), *ALL_TABLES) == before
    assert_stores_agree(services, tmp_path)


class FailsAtWrite:
    """A cache that is away when the first batch has been committed."""

    def __init__(self, real) -> None:
        self._real = real
        self.failures = 1

    def __getattr__(self, name):
        return getattr(self._real, name)

    def write(self, *arguments) -> None:
        if self.failures:
            self.failures -= 1
            raise CacheUnavailableError("the cache is away")
        self._real.write(*arguments)


def test_a_cache_that_goes_away_after_the_commit(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, stars(1, [0, 10]), stars(2, [0.1]))
    again = stars(1, [0.2, 30], ids=[BIG + 71, BIG + 72])
    failing = replace(services, cache=FailsAtWrite(services.cache))
    with pytest.raises(RetriableError):
        reprocessed(failing, 2, again)
    outcome = reprocessed(failing, 2, again)
    assert isinstance(outcome, Redelivered)
    assert len(outcome.outputs) == 4
    process_from(services, 3, stars(3, [0.1, 10, 30]))
    assert_stores_agree(services, tmp_path)


def test_the_ledger_tells_every_processing(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, stars(1, [0]))
    reprocessed(services, 1, stars(1, [1]))
    assert sorted(columns(apdb_url(tmp_path), LEDGER, "visit", "revision", "input_offset")) == [(1, 0, 0), (1, 1, 1)]


DETECTIONS = st.lists(
    # Stars 10 arcsec apart, neighbours of some 0.8 arcsec off, and detections off by a little or much.
    st.tuples(st.sampled_from([0.0, 0.8, 10.0, 10.8, 20.0, 30.0]), st.sampled_from([-0.4, -0.1, 0.0, 0.1, 0.4])),
    max_size=5,
)
NIGHTS = st.lists(st.tuples(st.integers(1, 4), DETECTIONS, st.booleans()), min_size=2, max_size=9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(NIGHTS)
def test_states_are_those_of_the_sources_that_are_left(events) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        services = pinned_services(folder)
        stack.callback(services.apdb.close)
        counted = {}
        for offset, (visit, detections, renumbered) in enumerate(events):
            # Numbered within the batch, as Rubin does: the same id may stand for another star.
            first = BIG + visit * 1000 + (100 * offset if renumbered else 0)
            ids = [first + i for i in range(len(detections))]
            one = stars(
                visit,
                [place + error for place, error in detections],
                ids,
                psfFlux=1000.0 * offset + np.arange(len(detections)),
            )
            outcome = reprocessed(services, offset, one)
            if isinstance(outcome, Processed):
                counted[visit] = set(ids)
            else:
                assert isinstance(outcome, Redelivered)
        assert_stores_agree(services, folder)
        rows = columns(apdb_url(folder), "DiaSource", "diaSourceId", "timeWithdrawnMjdTai")
        assert {source for source, withdrawn in rows if withdrawn is None} == set().union(*counted.values())
