"""Forced sources of a batch: which objects are measured, what fails, and what their statistics count."""

import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.messaging.avro.output_decoder import decode_forced_sources
from stream_assoc.pipeline.batches import Processed, Redelivered, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from tests.contents import ALL_TABLES, COUNTER, LEDGER, SCIENCE_TABLES, Rows, columns, contents, n_rows
from tests.pipeline.photometers import Photometer, flux, with_images
from tests.pipeline.skies import BIG, apdb_url, night, pinned_services, position, process_from, processed_from
from tests.pipeline.test_reprocessing import assert_stores_agree, reprocessed, stars

GOOD: dict[str, list[Any]] = {"trailLength": [0.5], "glint_trail": [False], "isDipole": [False]}
FORCED_COLUMNS = ("diaObjectId", "band", "timeProcessedMjdTai", "psfFlux", "psfFluxErr", "timeWithdrawnMjdTai")
ON = {"images": {"roots": ("/images",)}}


def measuring(folder, **sections):
    return replace(pinned_services(folder, **ON, **sections), photometer=Photometer())


@pytest.fixture
def services(tmp_path: Path):
    made = measuring(tmp_path)
    yield made
    made.apdb.close()


def good(visit, places, **changes):
    """Return a batch with images whose sources vouch for their objects, but for these changes."""
    values = {name: value * len(places) for name, value in {**GOOD, **changes}.items()}
    return with_images(stars(visit, places, **values))


def means_of_rows(rows, versions, band):
    """Return the weighted mean of forced sources up to each version of an object, and its error.

    ``rows`` are of `FORCED_COLUMNS`, versions (diaObjectId, validityStartMjdTai).
    """
    measured = defaultdict(list)
    for identifier, name, time, value, error, withdrawn in rows:
        if name == band and error is not None and withdrawn is None:
            measured[identifier].append((time, value, error))
    expected = {}
    for identifier, start in versions:
        counted = np.array([row[1:] for row in measured[identifier] if row[0] <= start]).reshape(-1, 2)
        weight = 1.0 / counted[:, 1] ** 2
        expected[identifier, start] = (
            (np.average(counted[:, 0], weights=weight), weight.sum() ** -0.5) if len(counted) else (None, None)
        )
    return expected


def forced_means(folder, band="r"):
    """Return what each object must tell of its forced sources."""
    url = apdb_url(folder)
    rows = columns(url, "DiaForcedSource", *FORCED_COLUMNS)
    versions = columns(url, "DiaObjectLast", "diaObjectId", "validityStartMjdTai")
    return {identifier: mean for (identifier, _), mean in means_of_rows(rows, versions, band).items()}


def n_forced(outcomes):
    """Return the number of forced sources that batches tell of."""
    return sum(one.metrics.numForcedSources for one in outcomes)


def stored_means(folder, band="r"):
    names = ("diaObjectId", f"{band}_fpFluxMean", f"{band}_fpFluxMeanErr", "validityEndMjdTai")
    return {
        key: (mean, error) for key, mean, error, end in columns(apdb_url(folder), "DiaObject", *names) if end is None
    }


def assert_means_are_right(folder, band="r") -> None:
    expected, stored = forced_means(folder, band), stored_means(folder, band)
    assert stored.keys() == expected.keys()
    for key, (mean, error) in expected.items():
        assert stored[key] == ((None, None) if mean is None else pytest.approx((mean, error), rel=3e-7)), key


def test_an_object_with_a_history_and_a_good_source_is_measured(services) -> None:
    process_from(services, 0, good(1, [0, 10]), good(2, [0]), good(3, [50]))
    seen = services.photometer.seen
    first, second, third = (BIG + 1_000_000, BIG + 1_000_001, BIG + 3_000_000)
    # New ones always; once one has two sources it is measured in visits that do not see it.
    assert seen == [[first, second], [first], [first, third]]


@pytest.mark.parametrize(
    "changes",
    [
        {"reliability": [0.49]},
        {"reliability": [None]},
        {"trailLength": [1.5]},
        {"trailLength": [None]},
        {"glint_trail": [None]},
        {"isDipole": [True]},
        {"isDipole": [None]},
    ],
)
def test_a_source_vouches_only_with_all_that_is_asked(
    services, changes: dict[str, list[None]] | dict[str, list[bool]] | dict[str, list[float]]
) -> None:
    process_from(services, 0, good(1, [0], **changes), good(2, [0], **changes), good(3, [50]))
    assert services.photometer.seen[-1] == [BIG + 3_000_000]
    process_from(services, 3, good(4, [0]), good(5, [90]))
    assert BIG + 1_000_000 in services.photometer.seen[-1], "one good source is enough"


def test_a_withdrawn_source_vouches_no_longer(services) -> None:
    bad = {"isDipole": [True]}
    process_from(services, 0, good(1, [0], **bad), good(2, [0]), good(3, [0], **bad), good(4, [50]))
    assert BIG + 1_000_000 in services.photometer.seen[-1]
    reprocessed(services, 4, good(2, [70]))
    process_from(services, 5, good(5, [90]))
    assert services.photometer.seen[-2:] == [[BIG + 2_000_000], [BIG + 5_000_000]]


def test_where_the_images_do_not_reach_nobody_is_measured(services) -> None:
    process_from(services, 0, good(1, [0]), good(2, [0]))
    services.photometer.contains = lambda ra, dec: np.zeros(len(ra), np.bool_)
    process_from(services, 2, good(3, [50]))
    assert services.photometer.seen[-1] == [BIG + 3_000_000], "what the visit updates is measured, wherever it is"


def test_objects_count_what_was_measured_before_their_version(services, tmp_path: Path) -> None:
    visits = [good(1, [0]), good(2, [0]), good(3, [50]), good(4, [50]), good(5, [0])]
    process_from(services, 0, *visits[:4])
    identifier = BIG + 1_000_000
    assert stored_means(tmp_path)[identifier] == pytest.approx(mean_of(visits[:2], identifier), rel=3e-7)
    assert_means_are_right(tmp_path)
    process_from(services, 4, visits[4])
    assert stored_means(tmp_path)[identifier] == pytest.approx(mean_of(visits, identifier), rel=3e-7)
    assert_means_are_right(tmp_path)
    assert_stores_agree(services, tmp_path)


def mean_of(visits, identifier):
    value, error = np.array([flux(one, identifier) for one in visits]).T
    usable = np.isfinite(value)
    weight = 1.0 / error[usable] ** 2
    return np.average(value[usable], weights=weight), weight.sum() ** -0.5


def test_a_visit_without_images_tells_what_was_measured_meanwhile(services, tmp_path: Path) -> None:
    process_from(services, 0, good(1, [0]), good(2, [0]), good(3, [50]), stars(4, [0]), stars(5, [0, 50]))
    assert_means_are_right(tmp_path)
    assert stored_means(tmp_path)[BIG + 1_000_000][0] is not None
    assert_stores_agree(services, tmp_path)


def test_missing_images_cost_a_batch_nothing_else(services, tmp_path: Path) -> None:
    visits = [good(1, [0]), good(2, [0]), good(3, [0, 50])]
    services.photometer.missing = {2}
    outcomes = processed_from(services, 0, *visits)
    assert [one.metrics.forcedPhotometryError for one in outcomes] == [None, "missing", None]
    assert [one.metrics.numForcedSources for one in outcomes] == [1, 0, 2]
    assert [one.metrics.numUpdatedDiaObjects for one in outcomes] == [0, 1, 1]
    assert [str(one.image_error or "") for one in outcomes] == ["", "the image is gone", ""]
    assert_means_are_right(tmp_path)


def test_images_are_of_no_account_where_forced_photometry_is_off(tmp_path: Path) -> None:
    services = pinned_services(tmp_path)
    (outcome,) = processed_from(services, 0, good(1, [0]))
    assert (outcome.metrics.numForcedSources, outcome.metrics.forcedPhotometryError) == (0, None)
    services.apdb.close()


def test_a_redelivery_reads_no_image(services, tmp_path: Path) -> None:
    one = good(1, [0])
    process_from(services, 0, one)
    before = contents(apdb_url(tmp_path), *ALL_TABLES)
    (again,) = process_from(services, 0, one)
    assert isinstance(again, Redelivered)
    assert services.photometer.n_loaded == 1
    assert contents(apdb_url(tmp_path), *ALL_TABLES) == before


def test_subscribers_get_the_rows_that_are_stored(services, tmp_path: Path) -> None:
    outcomes = processed_from(services, 0, good(1, [0, 10]), good(2, [0]), good(3, [50]))
    messages = [one for outcome in outcomes for one in outcome.outputs if one.topic == "dia-forced-sources"]
    rows = decode_forced_sources([one.value for one in messages])
    assert [one.key for one in messages] == [str(key).encode() for key in rows.column("diaObjectId").to_pylist()]
    names = rows.column_names
    stored = columns(apdb_url(tmp_path), "DiaForcedSource", *names)
    assert sorted(zip(*rows.to_pydict().values(), strict=True)) == sorted(stored)
    assert [outcome.outputs[-1].topic for outcome in outcomes] == ["association-metrics"] * 3


def test_whoever_keeps_the_latest_of_each_forced_source_knows_which_are_withdrawn(services, tmp_path: Path) -> None:
    outcomes = processed_from(services, 0, good(1, [0, 10]), good(2, [0, 10]), good(3, [0]), good(4, [50]))
    # The first takes back what visit 4 measured, the second what visit 3 did at one object; the third measures again.
    outcomes += [reprocessed(services, 4, stars(4, [50.1])), reprocessed(services, 5, stars(3, [0.1]))]
    outcomes.append(reprocessed(services, 6, good(4, [50.2])))
    messages = [one for outcome in outcomes for one in outcome.outputs if one.topic == "dia-forced-sources"]
    rows = decode_forced_sources([one.value for one in messages])
    assert [one.key for one in messages] == [str(key).encode() for key in rows.column("diaObjectId").to_pylist()]
    latest = {row["diaForcedSourceId"]: tuple(row.values()) for row in rows.to_pylist()}
    stored = columns(apdb_url(tmp_path), "DiaForcedSource", *rows.column_names)
    assert sorted(latest.values()) == sorted(stored)
    withdrawn = [row["timeWithdrawnMjdTai"] for row in rows.to_pylist()]
    assert any(withdrawn)
    assert not all(withdrawn)


def test_a_processing_time_comes_after_what_is_measured_and_counted(tmp_path: Path) -> None:
    """Two daemons' clocks may differ, and a version must not be older than what it counts."""
    services = measuring(tmp_path)
    ahead = replace(services, clock=type(services.clock)(62_000.5))
    process_from(services, 0, good(1, [0]), good(2, [0]))
    process_from(ahead, 2, good(3, [50]))
    process_from(services, 3, stars(4, [0]))
    starts: dict[int, float] = dict(
        columns(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId", "validityStartMjdTai")
    )
    assert starts[BIG + 1_000_000] > 62_000.5
    assert_means_are_right(tmp_path)
    assert_stores_agree(services, tmp_path)
    services.apdb.close()


def test_a_reprocessing_takes_measurements_back(services, tmp_path: Path) -> None:
    process_from(services, 0, good(1, [0, 10]), good(2, [0, 10]), good(3, [0]), good(4, [50]), good(5, [0, 10, 50]))
    # Visit 4 measured both objects and updated neither; visit 5 made versions that count it.
    outcome = reprocessed(services, 5, stars(4, [50.1]))
    assert outcome.metrics.numForcedSources == 0
    assert n_rows(apdb_url(tmp_path), "DiaForcedSource") > 0
    assert_means_are_right(tmp_path)
    assert_stores_agree(services, tmp_path)
    reprocessed(services, 6, good(4, [50.2]))
    assert_means_are_right(tmp_path)
    assert_stores_agree(services, tmp_path)
    reprocessed(services, 7, replace(good(1, [0.1, 70]), digest=b"other"))
    process_from(services, 8, stars(6, [0, 10, 50, 70]))
    assert_means_are_right(tmp_path)
    assert_stores_agree(services, tmp_path)


def test_a_daemon_that_counts_none_takes_measurements_back_for_those_that_do(tmp_path: Path) -> None:
    kept = {"statistics": {"checkpoint_every": 2}}
    counting, other = measuring(tmp_path, **kept), pinned_services(tmp_path, **kept)
    process_from(counting, 0, *(good(visit, [0, 10]) for visit in range(1, 4)), good(4, [50]), good(5, [0, 10, 50]))
    # Visit 4 measured two objects that it did not update. Cached states and checkpoints count that.
    reprocessed(other, 5, stars(4, [50.1]))
    for is_warm in (True, False):
        if not is_warm:
            assert isinstance(counting.cache, MemoryCache)
            counting.cache.flush()
        turn = 6 + is_warm
        processed_from(counting, turn, stars(turn, [0, 10, 50]))
        assert_means_are_right(tmp_path)
    for services in (counting, other):
        services.apdb.close()


def leave_alone(cache: MemoryCache) -> None:
    pass


def run(folder: Path, meddle: Callable[[MemoryCache], None] = leave_alone) -> dict[str, Rows]:
    services = measuring(folder)
    for turn, one in enumerate(night()):
        assert isinstance(services.cache, MemoryCache)
        meddle(services.cache)
        # Two of three visits come with images.
        process_from(services, turn, with_images(one) if one.id.visit % 3 else one)
    services.apdb.close()
    return contents(apdb_url(folder), *ALL_TABLES)


def test_the_loss_of_the_cache_changes_nothing(tmp_path: Path) -> None:
    undisturbed = run(tmp_path / "undisturbed")
    assert undisturbed["DiaForcedSource"]
    losses: dict[str, Callable[[MemoryCache], None]] = {
        "flush": lambda cache: cache.flush(),
        "states": lambda cache: cache.states.clear(),
        "tiles": lambda cache: cache.tiles.clear(),
    }
    for name, meddle in losses.items():
        assert run(tmp_path / name, meddle) == undisturbed, name


steps = st.lists(
    st.tuples(
        st.integers(1, 5),  # visit
        st.lists(st.sampled_from([0.0, 0.1, 10.0, 10.1, 30.0]), max_size=3, unique=True),
        st.booleans(),  # with images
        st.booleans(),  # the cache is lost before
    ),
    min_size=2,
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(steps=steps)
def test_means_are_right_whatever_comes_in_whatever_order(
    steps: list[tuple[int, list[float], bool, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        services = measuring(Path(folder))
        for offset, (visit, places, named, lost) in enumerate(steps):
            if lost:
                services.cache.flush()
            ids = [BIG + visit * 1000 + offset * 10 + place for place in range(len(places))]
            one = stars(visit, places, ids=ids, **{name: value * len(places) for name, value in GOOD.items()})
            one = replace(one, digest=bytes([offset]) * 32)
            marked = arrive(with_images(one) if named else one, services, position(offset), reprocessing=True)
            (outcome,) = process_batches([marked], services)
            assert isinstance(outcome, Processed)
        assert_means_are_right(Path(folder))
        stores = Stores(services.apdb, services.cache, services.calculator, services.partition)
        found = sum(verify(stores, services.apdb.known_tiles()), Verification())
        assert (found.states.different, found.tiles.different, found.states.stale) == (0, 0, 0)
        services.apdb.close()


@pytest.mark.integration
def test_postgresql_comes_to_the_same(services, tmp_path: Path, postgresql_database: str) -> None:
    init(postgresql_database)
    other = replace(
        services,
        apdb=open_apdb(postgresql_database),
        cache=MemoryCache(services.layout),
        photometer=Photometer(),
    )
    for one in (services, other):
        process_from(one, 0, good(1, [0, 10, 20]), good(2, [0.1, 10.1]), good(3, [50]), stars(4, [0]))
        reprocessed(one, 4, good(3, [0.2, 30]))
        reprocessed(one, 5, stars(1, [0.2, 20]))
        process_from(one, 6, good(5, [0, 10, 20, 30, 50]))
    other.apdb.close()
    tables = (*SCIENCE_TABLES, LEDGER, COUNTER)
    assert contents(postgresql_database, *tables) == contents(apdb_url(tmp_path), *tables)
    assert services.photometer.seen == other.photometer.seen
