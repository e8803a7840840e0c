import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.association import candidates as module
from stream_assoc.core.association.candidates import Candidates, find_candidates
from stream_assoc.core.exceptions import TooManyCandidatesError
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, unit_vectors

from .catalogues import ARCSEC, scattered

PLACES = [(150.0, -30.0), (0.0, 0.0), (359.9999, 60.0), (10.0, 90.0), (200.0, -90.0), (77.0, 89.9995), (5.0, -89.99)]


def brute_force(sources: FloatArray, objects: FloatArray, radius_arcsec: float) -> list[tuple[int, int]]:
    difference = unit_vectors(*sources.T)[:, None, :] - unit_vectors(*objects.T)[None, :, :]
    near = np.argwhere(np.linalg.norm(difference, axis=2) <= radius_arcsec / ARCSEC_PER_RADIAN)
    return [(int(i), int(j)) for i, j in near]


def candidates(sources: FloatArray, objects: FloatArray, radius_arcsec: float, **limits: int) -> Candidates:
    (source_ra, source_dec), (object_ra, object_dec) = sources.T, objects.T
    return find_candidates(source_ra, source_dec, object_ra, object_dec, radius_arcsec, **limits)


def pairs(sources: FloatArray, objects: FloatArray, radius_arcsec: float) -> list[tuple[int, int]]:
    found = candidates(sources, objects, radius_arcsec)
    assert (found.chord <= radius_arcsec / ARCSEC_PER_RADIAN).all()
    return list(zip(found.source_row.tolist(), found.object_row.tolist(), strict=True))


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("radius", [0.05, 1.0, 30.0, 3600.0])
def test_every_pair_is_found_wherever_it_is(ra: float, dec: float, radius: float) -> None:
    random = np.random.default_rng(11)
    for spread in (1.0, 10.0):
        sources = scattered(ra, dec, spread * radius, 60, random)
        objects = scattered(ra, dec, spread * radius, 80, random)
        assert pairs(sources, objects, radius) == brute_force(sources, objects, radius)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-400.0, 400.0),
    st.floats(-90.0, 90.0),
    st.floats(0.01, 3600.0),
    st.integers(0, 1000),
)
def test_any_place_and_radius(ra: float, dec: float, radius: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    sources = np.vstack([scattered(ra, dec, 2.0 * radius, 10, random), [(ra, dec)]])
    objects = np.vstack([scattered(ra, dec, 2.0 * radius, 20, random), [(ra + 360.0, dec)]])
    assert pairs(sources, objects, radius) == brute_force(sources, objects, radius)


def test_the_whole_sky_at_once() -> None:
    random = np.random.default_rng(12)
    sources = np.vstack([scattered(ra, dec, 20.0, 30, random) for ra, dec in PLACES])
    objects = np.vstack([scattered(ra, dec, 20.0, 30, random) for ra, dec in PLACES])
    assert pairs(sources, objects, 5.0) == brute_force(sources, objects, 5.0)


def test_what_is_no_position_is_in_no_pair_and_touches_no_other() -> None:
    good = np.array([(10.0, 20.0), (10.0, 20.0 + 0.3 * ARCSEC)])
    bad = np.array([(np.nan, 20.0), (10.0, np.nan), (10.0, 91.0), (np.inf, 20.0), (1e9, 20.0)])
    both = np.vstack([good, bad])
    assert pairs(both, both, 1.0) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert pairs(bad, both, 1.0) == []


def test_separations_are_angles() -> None:
    found = candidates(np.array([[10.0, 20.0]]), np.array([[10.0, 20.0 + 0.5 * ARCSEC]]), 1.0)
    assert found.separation_arcsec == pytest.approx([0.5], rel=1e-8)


def test_a_batch_that_no_sky_explains_is_refused() -> None:
    place = np.full((10, 2), 10.0)
    with pytest.raises(TooManyCandidatesError, match="max_candidate_pairs"):
        candidates(place, place, 1.0, max_pairs=99)
    assert len(candidates(place[1:], place, 1.0, max_pairs=99)) == 90


def test_a_batch_whose_sources_nearly_meet_too_many_objects_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MEETINGS", 99)
    sources, objects = np.full((10, 2), 10.0), np.full((10, 2), 10.0 + 1.2 * ARCSEC)
    with pytest.raises(TooManyCandidatesError, match="nearly"):
        candidates(sources, objects, 1.0)
    assert len(candidates(sources[1:], objects, 1.0)) == 0
