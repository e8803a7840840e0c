import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.association.associator import AssociationConfig, Associator, SourcePositions
from stream_assoc.core.exceptions import AssociationConfigError
from stream_assoc.core.model.objects import ObjectPositions

from .catalogues import ARCSEC, crowded, make_objects, make_sources
from .test_matching import least_cost

PLACES = [(150.0, -30.0), (0.0, 10.0), (30.0, 89.9), (200.0, -89.95)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_the_total_cost_is_that_of_the_whole_graph(ra: float, dec: float, seed: int) -> None:
    result = Associator().associate(*crowded(ra, dec, 60, 80, seed))
    assert result.mode == "nll"
    candidates = result.candidates
    expected = least_cost(
        candidates.source_row, candidates.object_row, result.candidate_score, 60, result.unmatched_cost
    )
    assert result.total_cost == pytest.approx(expected, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PLACES), st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(place: tuple[float, float], seed: int) -> None:
    sources, objects = crowded(*place, 40, 50, seed)
    random = np.random.default_rng(seed)
    i, j = random.permutation(len(sources)), random.permutation(len(objects))
    straight = Associator().associate(sources, objects)
    shuffled = Associator().associate(sources.take(i), objects.take(j))
    renamed = np.where(shuffled.object_row >= 0, j[shuffled.object_row], -1)
    np.testing.assert_array_equal(renamed, straight.object_row[i])
    np.testing.assert_array_equal(shuffled.margin, straight.margin[i])
    assert shuffled.unmatched_cost == straight.unmatched_cost


@settings(max_examples=40, deadline=None)
@given(st.floats(-60.0, 60.0), st.integers(0, 10**6))
def test_turning_the_sky_across_the_wrap_changes_nothing(turn: float, seed: int) -> None:
    sources, objects = crowded(30.0, -20.0, 40, 50, seed)
    straight = Associator().associate(sources, objects)
    turned = Associator().associate(
        dataclasses.replace(sources, ra=(sources.ra + turn) % 360.0),
        dataclasses.replace(objects, ra=(objects.ra + turn) % 360.0),
    )
    np.testing.assert_array_equal(turned.object_row, straight.object_row)


@pytest.mark.parametrize(
    ("ra", "dec", "raErr"),
    [
        (np.nan, -30.0, 1e-5),
        (150.0, np.nan, 1e-5),
        (150.0, -np.inf, 1e-5),
        (150.0, 90.5, 1e-5),
        (np.nan, 0.0, np.nan),
    ],
)
def test_a_bad_source_changes_nothing_else(ra: float, dec: float, raErr: float) -> None:
    sources, objects = crowded(150.0, -30.0, 40, 50, seed=1)
    worse = SourcePositions(
        *(
            np.insert(getattr(sources, name), 7, value)
            for name, value in {"ra": ra, "dec": dec, "raErr": raErr, "decErr": 1e-5}.items()
        )
    )
    clean, result = Associator().associate(sources, objects), Associator().associate(worse, objects)
    assert np.flatnonzero(result.dropped).tolist() == [7]
    assert result.object_row[7] == -1
    np.testing.assert_array_equal(np.delete(result.object_row, 7), clean.object_row)
    np.testing.assert_array_equal(np.delete(result.score, 7), clean.score)
    assert result.total_cost == clean.total_cost


def test_a_bad_object_changes_nothing_else() -> None:
    sources, objects = crowded(150.0, -30.0, 40, 50, seed=2)
    worse = ObjectPositions.concatenate([objects, make_objects(np.array([(np.nan, -30.0)]), np.full((1, 2), 1e-5))])
    clean, result = Associator().associate(sources, objects), Associator().associate(sources, worse)
    np.testing.assert_array_equal(result.object_row, clean.object_row)
    assert result.total_cost == clean.total_cost


def test_every_match_is_explained() -> None:
    result = Associator().associate(*crowded(150.0, -30.0, 60, 60, seed=3))
    explained = 0
    for source, row in enumerate(result.object_row):
        mine = result.candidates.source_row == source
        if row < 0:
            assert np.isnan([result.score[source], result.margin[source], result.separation_arcsec[source]]).all()
            continue
        chosen = mine & (result.candidates.object_row == row)
        others = result.candidate_score[mine & ~chosen]
        assert result.candidate_score[chosen] == [result.score[source]]
        assert result.candidates.separation_arcsec[chosen] == [result.separation_arcsec[source]]
        assert result.margin[source] == others.min(initial=np.inf) - result.score[source]
        explained += 1
    assert explained > 20
    assert np.isinf(result.margin).any()
    assert (result.margin[np.isfinite(result.margin)] < 0.0).any()


def test_a_score_by_hand() -> None:
    errors = np.array([(0.3 * ARCSEC, 0.4 * ARCSEC)])
    result = Associator().associate(
        make_sources(np.array([(359.9999, 60.0)]), errors),
        make_objects(np.array([(0.0001, 60.0 + 0.2 * ARCSEC)]), np.array([(np.nan, 1e-9)])),
    )
    var_ra, var_dec = (0.3**2 + 0.2**2) * ARCSEC**2, 0.4**2 * ARCSEC**2
    pull = 0.0002**2 / var_ra + (0.2 * ARCSEC) ** 2 / var_dec
    assert result.mode == "chord"

    result = Associator().associate(
        make_sources(np.array([(359.9999, 60.0)]), errors),
        make_objects(
            np.array([(0.0001, 60.0 + 0.2 * ARCSEC), (5.0, 60.0)]), np.array([(np.nan, 1e-9), (1e-5, 1e-5)])
        ),
    )
    assert result.score == pytest.approx([0.5 * pull + 0.5 * np.log(var_ra * var_dec)], rel=1e-8)
    assert result.unmatched_cost == result.score[0] + 1.0
    assert result.object_row.tolist() == [0]


def test_nothing_to_associate() -> None:
    sources, objects = crowded(150.0, -30.0, 5, 5, seed=4)
    nobody = sources.take(np.empty(0, np.int64))
    for result in (
        Associator().associate(sources, ObjectPositions.empty()),
        Associator().associate(nobody, objects),
        Associator().associate(dataclasses.replace(sources, dec=-sources.dec), objects),
    ):
        assert result.mode == "none"
        assert (result.object_row == -1).all()
        assert len(result.candidates) == 0


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["max_distance_arcsec", "sigma_floor_arcsec", "fallback_sigma_arcsec"])
def test_settings_are_checked_by_name(name: str, value: float) -> None:
    change: dict[str, Any] = {name: value}
    with pytest.raises(AssociationConfigError, match=name):
        Associator(dataclasses.replace(AssociationConfig(), **change))


def test_a_radius_of_degrees_is_refused() -> None:
    with pytest.raises(AssociationConfigError, match="more than a degree"):
        Associator(AssociationConfig(max_distance_arcsec=3601.0))
    with pytest.raises(AssociationConfigError, match="max_candidate_pairs"):
        Associator(AssociationConfig(max_candidate_pairs=0))


@pytest.mark.parametrize("error", [1e39, 1e160, 1e300, 1.7e308])
def test_an_error_that_no_column_holds_counts_as_missing(error: float) -> None:
    """The square of such a one is infinite, and a search over scores of infinity and NaN never ends."""
    places, known_errors = np.array([[10.0, 1.0], [20.0, 1.0]]), np.full((2, 2), 1e-5)
    objects, known = make_objects(places, known_errors), make_sources(places, known_errors)
    absurd, missing = (
        dataclasses.replace(known, raErr=np.array([value, 1e-5]), decErr=np.array([value, 1e-300]))
        for value in (error, np.nan)
    )
    result = Associator().associate(absurd, objects)
    assert result.object_row.tolist() == [0, 1]
    np.testing.assert_array_equal(result.score, Associator().associate(missing, objects).score)


@pytest.mark.parametrize("name", ["sigma_floor_arcsec", "fallback_sigma_arcsec"])
@pytest.mark.parametrize("value", [1e-200, 1e-10, 3601.0, 1e200])
def test_position_errors_of_which_no_score_can_be_made_are_refused(name: str, value: float) -> None:
    change: dict[str, Any] = {name: value}
    with pytest.raises(AssociationConfigError, match=f"association.{name} = .* must be from 1e-09 to 3600 arcsec"):
        Associator(AssociationConfig(**change))
