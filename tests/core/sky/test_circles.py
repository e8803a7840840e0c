import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.sphgeom import Angle, Circle, HtmPixelization, LonLat, UnitVector3d

from stream_assoc.core.exceptions import InvalidPositionError
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, to_radec, unit_vectors


def ring(ra: float, dec: float, radius_arcsec: float, n: int) -> tuple[FloatArray, FloatArray]:
    """Return positions on and inside a circle."""
    centre = unit_vectors([ra], [dec])[0]
    first = np.cross(np.eye(3)[np.argmin(np.abs(centre))], centre)
    first /= np.linalg.norm(first)
    second = np.cross(centre, first)
    angle = np.linspace(0.0, 2.0 * np.pi, n)[:, None]
    spread = np.concatenate([np.full(n, 1.0), np.linspace(0.0, 1.0, n)])[:, None]
    radius = spread * radius_arcsec * (1.0 - 1e-9) / ARCSEC_PER_RADIAN
    angle = np.concatenate([angle, angle * 7.0])
    return to_radec(np.cos(radius) * centre + np.sin(radius) * (np.cos(angle) * first + np.sin(angle) * second))


def envelope(ra: float, dec: float, radius_arcsec: float, level: int) -> set[int]:
    circle = Circle(UnitVector3d(LonLat.fromDegrees(ra, dec)), Angle.fromDegrees(radius_arcsec / 3600.0))
    return {i for begin, end in HtmPixelization(level).envelope(circle) for i in range(begin, end)}


@settings(max_examples=100, deadline=None)
@given(st.floats(0.0, 360.0), st.floats(-90.0, 90.0), st.integers(0, 24), st.sampled_from([0.0, 1e-3, 0.1, 1.0, 4.0]))
def test_no_position_in_the_circle_is_left_out(ra: float, dec: float, level: int, sides: float) -> None:
    radius = min(sides * 90.0 * 3600.0 / 2**level, 60.0 * 3600.0)
    found = trixels_near([ra], [dec], radius, level)
    assert np.isin(htm_index(*ring(ra, dec, radius, 60), level), found).all()
    assert found.tolist() == sorted(set(found.tolist()))


@pytest.mark.parametrize("level", [1, 6, 10])
def test_all_trixels_that_meet_at_a_corner(level: int) -> None:
    trixel = 9 * 4**level + 3 * 4 ** (level - 1)
    corners = [tuple(v) for v in HtmPixelization.triangle(trixel).getVertices()]
    for ra, dec in zip(*to_radec(corners), strict=True):
        found = set(trixels_near([ra], [dec], 1.0, level).tolist())
        assert found == envelope(ra, dec, 1.0, level)
        assert len(found) in (4, 6)


def test_hardly_more_than_sphgeoms_own_envelope() -> None:
    random = np.random.default_rng(8)
    ra, dec = random.uniform(0.0, 360.0, 200), random.uniform(-89.0, 89.0, 200)
    for level, radius, excess in ((10, 1.0, 1.001), (10, 300.0, 1.3), (12, 400.0, 1.3)):
        expected = set().union(*(envelope(r, d, radius, level) for r, d in zip(ra, dec, strict=True)))
        found = set(trixels_near(ra, dec, radius, level).tolist())
        assert len(found) <= excess * len(expected)


def test_one_call_is_the_union_of_its_rows() -> None:
    ra, dec = np.array([0.0, 10.0, 10.1, 359.99]), np.array([90.0, 0.0, 0.0, -45.0])
    rows = [trixels_near([r], [d], 60.0, 9) for r, d in zip(ra, dec, strict=True)]
    assert trixels_near(ra, dec, 60.0, 9).tolist() == np.unique(np.concatenate(rows)).tolist()
    assert trixels_near([], [], 60.0, 9).tolist() == []


def test_what_makes_no_circle_is_refused() -> None:
    with pytest.raises(InvalidPositionError, match="finite"):
        trixels_near([np.nan], [0.0], 1.0, 10)
    with pytest.raises(ValueError, match="radius_arcsec"):
        trixels_near([0.0], [0.0], -1.0, 10)
