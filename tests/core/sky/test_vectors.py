import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.sphgeom import LonLat, UnitVector3d

from stream_assoc.core.sky.vectors import chord, read_only, separation_arcsec, to_radec, unit_vectors

ras = st.floats(0.0, 359.999)
decs = st.floats(-90.0, 90.0)


def test_unit_vectors_are_those_of_sphgeom() -> None:
    random = np.random.default_rng(1)
    ra, dec = random.uniform(0.0, 360.0, 500), random.uniform(-90.0, 90.0, 500)
    expected = [tuple(UnitVector3d(LonLat.fromDegrees(*position))) for position in zip(ra, dec, strict=True)]
    np.testing.assert_allclose(unit_vectors(ra, dec), expected, rtol=0.0, atol=3e-16)


def test_a_missing_position_is_a_row_of_nan_and_touches_no_other() -> None:
    vectors = unit_vectors([10.0, np.nan, 30.0, 40.0], [0.0, 0.0, np.inf, 0.0])
    assert np.isnan(vectors).any(axis=1).tolist() == [False, True, True, False]


@given(ras, decs)
def test_directions_survive_the_round_trip(ra: float, dec: float) -> None:
    back_ra, back_dec = to_radec(unit_vectors([ra], [dec]))
    assert 0.0 <= back_ra[0] < 360.0
    assert separation_arcsec(ra, dec, back_ra[0], back_dec[0]) < 1e-8


def test_a_direction_just_west_of_the_meridian_stays_below_360() -> None:
    ra, _ = to_radec([[1.0, -1e-20, 0.0]])
    assert ra[0] == 0.0


@pytest.mark.parametrize("offset", [1e-9, 1e-6, 1e-3, 1.0, 3600.0])
@pytest.mark.parametrize("dec", [0.0, 45.0, -89.0])
def test_small_separations_keep_their_digits(offset: float, dec: float) -> None:
    north = dec + offset / 3600.0
    assert separation_arcsec(10.0, dec, 10.0, north) == pytest.approx((north - dec) * 3600.0, rel=1e-12)


def test_separations_across_the_wrap_at_the_poles_and_between_antipodes() -> None:
    assert separation_arcsec(359.9999, 0.0, 0.0001, 0.0) == pytest.approx(0.72, rel=1e-9)
    assert separation_arcsec(0.0, 90.0, 123.0, 90.0) == pytest.approx(0.0, abs=1e-9)
    assert separation_arcsec(0.0, 89.0, 180.0, 89.0) == pytest.approx(7200.0, rel=1e-12)
    assert separation_arcsec(20.0, 30.0, 200.0, -30.0) == pytest.approx(180.0 * 3600.0, rel=1e-12)


def test_chord_is_the_distance_of_the_unit_vectors() -> None:
    first, second = unit_vectors([10.0, 10.0], [0.0, 20.0])
    assert np.linalg.norm(first - second) == pytest.approx(chord(20.0 * 3600.0), rel=1e-14)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        unit_vectors([1.0, 2.0], [1.0])


def test_read_only_columns_are_views_and_give_the_same_vectors() -> None:
    ra, dec = np.array([10.0, 20.0]), np.array([1.0, 2.0])
    frozen = read_only(ra)
    assert not frozen.flags.writeable
    assert np.shares_memory(frozen, ra)
    assert ra.flags.writeable
    np.testing.assert_array_equal(unit_vectors(frozen, dec), unit_vectors(ra, dec))
