"""Every source has one owner or a reason for none, wherever on the sky it is."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.batch import Batch, SolarSystemObjects
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.types import BoolArray
from stream_assoc.pipeline.services import Services
from tests.contents import column, columns
from tests.pipeline.skies import (
    ARCSEC,
    apdb_url,
    batch,
    night,
    offset,
    pinned_services,
    process_from,
    processed_from,
    square,
)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = pinned_services(tmp_path)
    yield made
    made.apdb.close()


def is_accounted_for(metrics: AssociationMetrics) -> bool:
    return metrics.numDiaSources == (
        metrics.numAssociatedDiaSources
        + metrics.numAssociatedSsObjects
        + metrics.numNewDiaObjects
        + metrics.numMarginalDiaSources
        + metrics.numDroppedDiaSources
    )


def test_a_night_is_accounted_for(services: Services, tmp_path: Path) -> None:
    outcomes = processed_from(services, 0, *night())
    assert all(is_accounted_for(outcome.metrics) for outcome in outcomes)
    assert sum(outcome.metrics.numAssociatedSsObjects for outcome in outcomes) > 0
    owners = columns(apdb_url(tmp_path), "DiaSource", "diaObjectId", "ssObjectId")
    assert [pair.count(None) for pair in owners] == [1] * len(owners), "each stored source has exactly one owner"
    stored = sum(
        outcome.metrics.numDiaSources - outcome.metrics.numMarginalDiaSources - outcome.metrics.numDroppedDiaSources
        for outcome in outcomes
    )
    assert len(owners) == stored
    single = sum(count == 1 for count in column(apdb_url(tmp_path), "DiaObjectLast", "nDiaSources"))
    assert outcomes[-1].metrics.totalUnassociatedDiaObjects == single


def test_a_solar_system_object_claims_its_source_before_a_dia_object_does(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, batch(1, [150.0, 150.01], [2.0, 2.0]))
    moving = SolarSystemObjects(np.array([2**55 + 1]), np.array([150.0]), np.array([2.0]))
    here = batch(2, [150.0, 150.01], [2.0, 2.0], solar_system_objects=moving)
    (outcome,) = processed_from(services, 1, here)
    assert outcome.metrics.numAssociatedSsObjects == 1
    assert outcome.metrics.numUpdatedDiaObjects == 1
    rows = columns(apdb_url(tmp_path), "DiaSource", "diaSourceId", "diaObjectId", "ssObjectId")
    owners = {source: owner for source, *owner in rows}
    assert owners[int(here.diaSourceId[0])] == [None, 2**55 + 1]
    assert sorted(column(apdb_url(tmp_path), "DiaObjectLast", "nDiaSources")) == [1, 2]


def test_predictions_without_a_position_claim_nothing(services: Services) -> None:
    moving = SolarSystemObjects(
        np.arange(1, 5), np.array([np.nan, np.inf, 150.0, 150.0]), np.array([2, 2, np.nan, 95])
    )
    (outcome,) = processed_from(services, 0, batch(1, [150.0], [2.0], solar_system_objects=moving))
    assert outcome.metrics.numAssociatedSsObjects == 0
    assert outcome.metrics.numNewDiaObjects == 1


def test_a_footprint_that_misses_its_sources_does_not_cost_a_match(services: Services, tmp_path: Path) -> None:
    elsewhere = square(200.0, -40.0)
    process_from(services, 0, batch(1, [150.0], [2.0]))
    outcomes = processed_from(services, 1, *(batch(visit, [150.0], [2.0], footprint=elsewhere) for visit in (2, 3)))
    assert [outcome.metrics.numUpdatedDiaObjects for outcome in outcomes] == [1, 1]
    assert column(apdb_url(tmp_path), "DiaObjectLast", "nDiaSources") == [3]


@pytest.mark.parametrize(
    ("ra", "dec"), [(0.0, 0.0), (360.0 - 1e-9, 20.0), (0.0, -89.9999), (77.0, 90.0), (10.0, -90.0), (180.0, 0.0)]
)
def test_a_batch_associates_across_ra_zero_and_over_the_poles(
    services: Services, tmp_path: Path, ra: float, dec: float
) -> None:
    steps = [(-0.3, -0.3), (0.3, -0.3), (0.3, 0.3), (-0.3, 0.3)]
    outline = square(ra, dec)
    places = [offset(ra, dec, east, north) for east, north in steps]
    visits = [batch(visit, [place[0]], [place[1]], footprint=outline) for visit, place in enumerate(places, 1)]
    outcomes = processed_from(services, 0, *visits[:2]) + processed_from(services, 2, *visits[2:])
    assert [outcome.metrics.numUpdatedDiaObjects for outcome in outcomes] == [0, 1, 1, 1]
    (mean_ra,), (mean_dec,) = (column(apdb_url(tmp_path), "DiaObjectLast", name) for name in ("ra", "dec"))
    assert 0.0 <= mean_ra < 360.0
    assert abs(mean_dec - dec) < 0.1 * ARCSEC
    assert len(column(apdb_url(tmp_path), "DiaObjectLast", "diaObjectId")) == 1


Row = tuple[float, float, float, bool]
Place = tuple[float, float]

coordinate = st.one_of(
    st.floats(-3.0, 3.0).map(lambda arcsec: arcsec * ARCSEC), st.sampled_from([np.nan, np.inf, -np.inf, 200.0])
)
small_batch = st.lists(st.tuples(coordinate, coordinate, st.floats(0.0, 1.0), st.booleans()), max_size=6)
predictions = st.lists(st.tuples(coordinate, coordinate), max_size=2)


@settings(max_examples=40, deadline=None)
@given(visits=st.lists(st.tuples(small_batch, predictions), min_size=1, max_size=4))
def test_any_source_is_accounted_for(visits: list[tuple[list[Row], list[Place]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        services = pinned_services(Path(folder))
        batches = [random_batch(visit, rows, moving) for visit, (rows, moving) in enumerate(visits, 1)]
        outcomes = processed_from(services, 0, *batches)
        services.apdb.close()
        assert all(is_accounted_for(outcome.metrics) for outcome in outcomes)
        usable = [int(np.count_nonzero(is_usable(one))) for one in batches]
        assert [one.metrics.numDiaSources - one.metrics.numDroppedDiaSources for one in outcomes] == usable
        owners = columns(apdb_url(Path(folder)), "DiaSource", "diaObjectId", "ssObjectId")
        owned = [pair.count(None) for pair in owners]
        assert owned == [1] * len(owned), "each stored source has exactly one owner"
        assert len(owned) == sum(
            len(one) - outcome.metrics.numMarginalDiaSources - outcome.metrics.numDroppedDiaSources
            for one, outcome in zip(batches, outcomes, strict=True)
        )


def random_batch(visit: int, rows: list[Row], moving: list[Place]) -> Batch:
    return batch(
        visit,
        [east for east, *_ in rows],
        [north for _, north, *_ in rows],
        footprint=square(0.0, 0.0),
        reliability=[reliability for *_, reliability, _ in rows],
        centroid_flag=np.array([flag for *_, flag in rows], np.bool_),
        solar_system_objects=SolarSystemObjects(
            np.arange(1, len(moving) + 1),
            np.array([one for one, _ in moving], np.float64),
            np.array([one for _, one in moving], np.float64),
        ),
    )


def is_usable(made: Batch) -> BoolArray:
    ra, dec = made.column("ra"), made.column("dec")
    return np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)


def test_a_right_ascension_of_another_turn_is_the_same_position(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, batch(1, [149.764], [2.0]))
    turned = [149.764 - 360.0, 149.764 + 360.0 + 10 * ARCSEC, 360.0, -1e-17, 36_001.0, 1e9]
    dec = [2.0, 2.0, 5.0, 6.0, 7.0, 8.0]
    (outcome,) = processed_from(services, 1, batch(2, turned, dec))
    assert outcome.metrics.numUpdatedDiaObjects == 1
    assert outcome.metrics.numNewDiaObjects == 3
    assert outcome.metrics.numDroppedDiaSources == 2
    for table in ("DiaSource", "DiaObjectLast"):
        stored = sorted(column(apdb_url(tmp_path), table, "ra"))
        expected = [0.0, 0.0, *[149.764] * (len(stored) - 3), 149.764 + 10 * ARCSEC]
        assert stored == pytest.approx(expected, abs=1e-10)
        assert all(0.0 <= ra < 360.0 and not np.signbit(ra) for ra in stored)


def predicted(*rows: tuple[int, float, float]) -> SolarSystemObjects:
    ids, ra, dec = zip(*rows, strict=True)
    return SolarSystemObjects(np.array(ids, np.int64), np.array(ra), np.array(dec))


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 150.0, 2.0)],
        [(-1, 150.0, 2.0)],
        [(7, 150.0, 2.0), (7, 150.0 + ARCSEC, 2.0)],
        [(7, np.nan, 2.0)],
        [(7, 150.0, 92.0)],
    ],
)
def test_predictions_that_name_no_object_take_no_source(
    services: Services, tmp_path: Path, rows: list[tuple[int, float, float]]
) -> None:
    process_from(services, 0, batch(1, [150.0], [2.0]))
    moving = predicted(*rows, (9, 150.05, 2.0))
    (outcome,) = processed_from(services, 1, batch(2, [150.0, 150.05], [2.0, 2.0], solar_system_objects=moving))
    metrics = outcome.metrics
    assert (metrics.numAssociatedDiaSources, metrics.numAssociatedSsObjects) == (1, 1)
    assert (metrics.numTotalSolarSystemObjects, metrics.numDroppedSsObjects) == (len(rows) + 1, len(rows))
    owners = columns(apdb_url(tmp_path), "DiaSource", "diaObjectId", "ssObjectId")
    assert [pair.count(None) for pair in owners] == [1] * 3


def test_a_prediction_listed_twice_at_one_place_counts_once(services: Services) -> None:
    moving = predicted((7, 150.0, 2.0), (7, 510.0, 2.0))
    (outcome,) = processed_from(services, 0, batch(1, [150.0], [2.0], solar_system_objects=moving))
    assert (outcome.metrics.numAssociatedSsObjects, outcome.metrics.numDroppedSsObjects) == (1, 1)


@given(
    st.lists(
        st.tuples(
            st.integers(-2, 5), st.sampled_from([150.0, 150.1, np.nan, 1e9]), st.sampled_from([2.0, 95.0, -90.0])
        ),
        min_size=1,
    )
)
def test_usable_predictions_are_positive_placed_and_single(rows: list[tuple[int, float, float]]) -> None:
    usable = predicted(*rows).usable()
    kept = list(zip(usable.ssObjectId.tolist(), usable.ra.tolist(), usable.dec.tolist(), strict=True))
    good = [row for row in rows if row[0] > 0 and row[1] < 1e6 and row[2] <= 90.0]
    distinct = [row for place, row in enumerate(good) if row not in good[:place]]
    assert kept == [row for row in distinct if sum(other[0] == row[0] for other in distinct) == 1]


def test_predictions_of_another_turn_claim_their_source(services: Services) -> None:
    moving = SolarSystemObjects(np.array([7]), np.array([150.0 - 720.0]), np.array([2.0]))
    (outcome,) = processed_from(services, 0, batch(1, [150.0], [2.0], solar_system_objects=moving))
    assert outcome.metrics.numAssociatedSsObjects == 1


SS = 2**55 + 1


def identified(visit: int, ids: list[int | None], **changes: Any) -> Batch:
    """A batch of sources a minute apart that their producer says are these solar-system objects."""
    made = batch(visit, [150.0 + 0.01 * row for row in range(len(ids))], [2.0] * len(ids), **changes)
    return replace(made, diaSources=with_column(made, "ssObjectId", pa.array(ids, pa.int64())))


def with_column(one: Batch, name: str, values: pa.Array) -> pa.RecordBatch:
    place = one.diaSources.schema.get_field_index(name)
    return one.diaSources.set_column(place, one.diaSources.schema.field(place), values)


def test_a_source_that_its_producer_identified_keeps_its_solar_system_object(
    services: Services, tmp_path: Path
) -> None:
    """It joins no object, founds none, and is counted as what it is; 0 and null are Rubin's none."""
    process_from(services, 0, batch(1, [150.0], [2.0]))
    (outcome,) = processed_from(services, 1, identified(2, [SS, SS + 1, 0, None]))
    metrics = outcome.metrics
    assert (metrics.numAssociatedSsObjects, metrics.numAssociatedDiaSources, metrics.numNewDiaObjects) == (2, 0, 2)
    assert is_accounted_for(metrics)
    rows = columns(apdb_url(tmp_path), "DiaSource", "visit", "ssObjectId", "diaObjectId")
    owners = [owner for visit, *owner in rows if visit == 2]
    assert [ss for ss, _ in owners] == [SS, SS + 1, None, None]
    assert [owner is None for _, owner in owners] == [True, True, False, False]
    assert sorted(column(apdb_url(tmp_path), "DiaObjectLast", "nDiaSources")) == [1, 1, 1]


def test_the_prediction_of_an_identified_object_claims_no_other_source(services: Services, tmp_path: Path) -> None:
    moving = SolarSystemObjects(np.array([SS, SS + 7]), np.array([150.01, 150.02]), np.array([2.0, 2.0]))
    (outcome,) = processed_from(services, 0, identified(1, [SS, None, None], solar_system_objects=moving))
    owners: dict[float, int | None] = dict(columns(apdb_url(tmp_path), "DiaSource", "x", "ssObjectId"))
    assert [owner for _, owner in sorted(owners.items())] == [SS, None, SS + 7]
    assert (outcome.metrics.numAssociatedSsObjects, outcome.metrics.numNewDiaObjects) == (2, 1)


def test_two_sources_of_one_identified_object_both_keep_it(services: Services, tmp_path: Path) -> None:
    """A fast one leaves a trail that may be detected in pieces."""
    process_from(services, 0, identified(1, [SS, SS]))
    assert column(apdb_url(tmp_path), "DiaSource", "ssObjectId") == [SS, SS]


def test_an_identified_source_without_a_position_is_dropped(services: Services) -> None:
    one = identified(1, [SS, None])
    sources = with_column(one, "ra", pa.array([np.nan, 150.01]))
    (outcome,) = processed_from(services, 0, replace(one, diaSources=sources))
    assert (outcome.metrics.numAssociatedSsObjects, outcome.metrics.numDroppedDiaSources) == (0, 1)
    assert is_accounted_for(outcome.metrics)


def test_what_a_producer_says_may_be_ignored(services: Services, tmp_path: Path) -> None:
    algorithms = replace(services.algorithms, keep_solar_system_ids=False)
    (outcome,) = processed_from(replace(services, algorithms=algorithms), 0, identified(1, [SS, SS + 1]))
    assert (outcome.metrics.numAssociatedSsObjects, outcome.metrics.numNewDiaObjects) == (0, 2)
    assert column(apdb_url(tmp_path), "DiaSource", "ssObjectId") == [None, None]
