import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.sphgeom import HtmPixelization, LonLat, UnitVector3d

from stream_assoc.core.exceptions import InvalidLevelError, InvalidPositionError
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.htm import MAX_LEVEL, htm_index, parent_index
from stream_assoc.core.sky.vectors import to_radec

LEVELS = (0, 1, 2, 5, 10, 16, 20, 24)


def sphgeom_index(ra: FloatArray, dec: FloatArray, level: int) -> list[int]:
    pixelization = HtmPixelization(level)
    return [pixelization.index(UnitVector3d(LonLat.fromDegrees(*p))) for p in zip(ra, dec, strict=True)]


def assert_equal_to_sphgeom(ra: FloatArray, dec: FloatArray, levels: tuple[int, ...] = LEVELS) -> None:
    for level in levels:
        index = htm_index(ra, dec, level)
        assert index.dtype == np.int64
        assert index.tolist() == sphgeom_index(ra, dec, level)


def all_sky(n: int, seed: int) -> tuple[FloatArray, FloatArray]:
    return to_radec(np.random.default_rng(seed).normal(size=(n, 3)))


def neighbourhood(ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the positions and their nearest representable neighbours."""
    ras = [f(ra) for f in (np.copy, lambda x: np.nextafter(x, -1.0), lambda x: np.nextafter(x, 400.0))]
    decs = [f(dec) for f in (np.copy, lambda x: np.nextafter(x, -90.0), lambda x: np.nextafter(x, 90.0))]
    return np.concatenate([r for r in ras for _ in decs]), np.concatenate([d for _ in ras for d in decs])


@pytest.mark.parametrize("level", range(MAX_LEVEL + 1))
def test_random_positions_at_every_level(level: int) -> None:
    ra, dec = all_sky(1000, seed=level)
    assert_equal_to_sphgeom(ra, dec, (level,))


def test_corners_and_edge_midpoints_of_trixels() -> None:
    random = np.random.default_rng(3)
    for level in (0, 1, 3, 7, 12, 18, 23):
        points = []
        for trixel in random.integers(8 * 4**level, 16 * 4**level, 8):
            a, b, c = (np.array(tuple(v)) for v in HtmPixelization.triangle(int(trixel)).getVertices())
            points += [a, b, c, a + b, b + c, c + a, 3.0 * a + b]
        ra, dec = neighbourhood(*to_radec(points))
        assert_equal_to_sphgeom(ra, dec, (level, level + 1, MAX_LEVEL))


def test_poles_seams_and_the_equator() -> None:
    ra, dec = np.meshgrid([0.0, 45.0, 90.0, 135.0, 180.0, 270.0, 360.0], [-90.0, -45.0, -0.0, 0.0, 30.0, 90.0])
    assert_equal_to_sphgeom(*neighbourhood(ra.ravel(), np.clip(dec.ravel(), -90.0, 90.0)))


@pytest.mark.parametrize("ra", [-720.0, -10.0, 370.0, 719.0, 1e4, -1e9, 1e-300, 5e-324])
def test_any_finite_ra(ra: float) -> None:
    dec = np.array([-90.0, -12.3, 0.0, 1e-300, 45.0])
    assert_equal_to_sphgeom(np.full(len(dec), ra), dec)


@settings(max_examples=100)
@given(st.floats(0.0, 360.0), st.floats(-90.0, 90.0), st.integers(0, MAX_LEVEL))
def test_whatever_hypothesis_finds(ra: float, dec: float, level: int) -> None:
    assert_equal_to_sphgeom(np.array([ra]), np.array([dec]), (level,))


def test_hardly_any_position_needs_the_exact_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    ra, dec = all_sky(20_000, seed=4)
    expected = sphgeom_index(ra, dec, 20)

    def refuse(*position: float) -> None:
        pytest.fail(f"{position} went to sphgeom")

    monkeypatch.setattr("stream_assoc.core.sky.htm.LonLat.fromDegrees", refuse)
    assert htm_index(ra, dec, 20).tolist() == expected


def test_no_positions() -> None:
    assert htm_index([], [], 20).tolist() == []


@pytest.mark.parametrize(("ra", "dec"), [(np.nan, 0.0), (0.0, np.nan), (np.inf, 0.0), (0.0, 90.001), (0.0, -np.inf)])
def test_what_is_no_position_is_refused_by_row(ra: float, dec: float) -> None:
    with pytest.raises(InvalidPositionError, match="row 1"):
        htm_index([10.0, ra], [10.0, dec], 10)


@pytest.mark.parametrize("level", [-1, 25])
def test_levels_end_at_24(level: int) -> None:
    with pytest.raises(InvalidLevelError, match="between 0 and 24"):
        htm_index([10.0], [10.0], level)


def test_the_parent_of_a_position_is_its_coarser_trixel() -> None:
    ra, dec = all_sky(300, seed=5)
    fine = htm_index(ra, dec, 20)
    for level in (0, 7, 10, 20):
        assert parent_index(fine, 20, level).tolist() == htm_index(ra, dec, level).tolist()
    with pytest.raises(InvalidLevelError, match="deeper"):
        parent_index(fine, 10, 20)
