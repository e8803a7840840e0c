import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.exceptions import InvalidFootprintError
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.core.sky.vectors import separation_arcsec, to_radec, unit_vectors
from stream_assoc.tools.transform.footprints import TangentPlane

SQUARE = [(10.0, -30.0), (10.2, -30.0), (10.2, -29.8), (10.0, -29.8)]


def scattered(ra: float, dec: float, radius_degrees: float, n: int, seed: int) -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    return to_radec(unit_vectors([ra], [dec]) + np.radians(radius_degrees) * random.normal(size=(n, 3)))


def test_vertices_are_the_hull_whatever_their_order() -> None:
    random = np.random.default_rng(0)
    expected = {tuple(np.round(vertex, 9)) for vertex in SQUARE}
    for _ in range(5):
        shuffled = random.permutation([*SQUARE, (10.1, -29.9), SQUARE[0]])
        footprint = ConvexFootprint.from_vertices(shuffled)
        assert {tuple(np.round(vertex, 9)) for vertex in footprint.vertices} == expected


@pytest.mark.parametrize(
    ("vertices", "cause"),
    [
        ([], "pairs"),
        ([1.0, 2.0, 3.0], "pairs"),
        ([(0.0, 0.0), (1.0, 1.0)], "3 distinct"),
        ([(0.0, 0.0), (1.0, 1.0), (1.0, 1.0)], "3 distinct"),
        ([(0.0, 0.0), (1.0, np.nan), (0.0, 1.0)], "finite"),
        ([(0.0, 0.0), (1.0, 0.0), (0.0, 90.5)], "finite"),
        ([(0.0, 0.0), (10.0, 0.0), (20.0, 0.0)], "convex"),
        ([(33.3, 0.0), (33.3, 7.7), (33.3, 20.1)], "great circle|convex"),
        ([(0.0, -60.0), (120.0, -60.0), (240.0, -60.0), (0.0, 90.0)], "hemisphere"),
    ],
)
def test_what_outlines_nothing_is_refused(vertices: list[tuple[float, float]], cause: str) -> None:
    with pytest.raises(InvalidFootprintError, match=cause) as caught:
        ConvexFootprint.from_vertices(vertices)
    assert caught.value.reason == "invalid_footprint"


def test_contains_with_and_without_margin() -> None:
    footprint = ConvexFootprint.from_vertices(SQUARE)
    dec = np.array([-29.9, -29.9, -29.9, np.nan, -29.9])
    east = 10.2 + np.array([-1.0, 0.5, 1.5, 0.0, np.inf]) / 3600.0 / np.cos(np.radians(29.9))
    assert footprint.contains(east, dec).tolist() == [True, False, False, False, False]
    assert footprint.contains(east, dec, 1.0).tolist() == [True, True, False, False, False]
    assert footprint.contains(*footprint.vertices.T).all()


def test_a_margin_is_round_at_the_corners() -> None:
    footprint = ConvexFootprint.from_vertices([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
    diagonal = -np.array([0.70, 0.72]) / 3600.0
    assert footprint.contains(diagonal, diagonal, 1.0).tolist() == [True, False]


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.95, 45.0), (123.0, 89.97), (200.0, -90.0)])
def test_footprints_at_the_wrap_and_the_poles(ra: float, dec: float) -> None:
    footprint = ConvexFootprint.from_vertices(np.column_stack(scattered(ra, dec, 0.1, 8, seed=2)))
    inside = footprint.contains([ra, ra + 180.0], [dec, -dec])
    assert inside.tolist() == [True, False]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.0, 360.0),
    st.floats(-90.0, 90.0),
    st.sampled_from([0.1, 2.0, 20.0]),
    st.sampled_from([0.0, 1.0, 600.0, 36000.0]),
    st.integers(0, 1000),
)
def test_trixels_cover_whatever_the_margin_accepts(
    ra: float, dec: float, size: float, margin: float, seed: int
) -> None:
    try:
        footprint = ConvexFootprint.from_vertices(np.column_stack(scattered(ra, dec, size, 5, seed)))
    except InvalidFootprintError:
        return
    trixels = footprint.trixels(6, margin)
    assert trixels.dtype == np.int64
    assert (np.diff(trixels) > 0).all()
    points = np.concatenate(
        [
            np.column_stack(scattered(ra, dec, size + margin / 3600.0, 500, seed + 1)),
            footprint.vertices,
        ]
    )
    point_ra, point_dec = points.T
    accepted = footprint.contains(point_ra, point_dec, margin)
    assert np.isin(htm_index(point_ra[accepted], point_dec[accepted], 6), trixels).all()


def test_a_detector_needs_few_tiles() -> None:
    assert len(ConvexFootprint.from_vertices(SQUARE).trixels(10, 2.0)) < 30


def test_a_margin_beyond_the_hemisphere_is_still_covered() -> None:
    footprint = ConvexFootprint.from_vertices([(0.0, -60.0), (120.0, -60.0), (240.0, -60.0)])
    random = np.random.default_rng(3)
    ra, dec = to_radec(random.normal(size=(2000, 3)))
    accepted = footprint.contains(ra, dec, 80.0 * 3600.0)
    assert np.isin(htm_index(ra[accepted], dec[accepted], 4), footprint.trixels(4, 80.0 * 3600.0)).all()


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin_arcsec"):
        ConvexFootprint.from_vertices(SQUARE).contains([10.0], [0.0], -1.0)


@pytest.mark.parametrize("level", [8, 12])
def test_inner_trixels_lie_within(level: int) -> None:
    footprint = ConvexFootprint.from_vertices([(10.0, 20.0), (12.0, 20.0), (12.0, 22.0), (10.0, 22.0)])
    inner = footprint.inner_trixels(level)
    generator = np.random.default_rng(5)
    ra, dec = generator.uniform(9.5, 12.5, 20_000), generator.uniform(19.5, 22.5, 20_000)
    in_inner = np.isin(htm_index(ra, dec, level), inner)
    assert in_inner.any()
    assert footprint.contains(ra[in_inner], dec[in_inner]).all()
    assert set(inner.tolist()) <= set(footprint.trixels(level).tolist())


@pytest.mark.parametrize(("ra", "dec"), [(150.0, 2.0), (0.0, 89.9)])
def test_many_vertices_and_many_positions_take_no_table_of_both(ra: float, dec: float) -> None:
    turn = np.linspace(0.0, 2.0 * np.pi, 20_000, endpoint=False)
    plane = TangentPlane.at(unit_vectors([ra], [dec])[0])
    ring = to_radec(plane.unproject(0.01 * np.cos(turn), 0.01 * np.sin(turn)))
    points = scattered(ra, dec, 1.0, 2000, seed=1)
    tracemalloc.start()
    footprint = ConvexFootprint.from_vertices(np.column_stack(ring))
    inside = footprint.contains(*points, 600.0)
    is_wide = footprint.is_wider_than(2.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0 < np.count_nonzero(inside) < len(inside)
    assert not is_wide
    assert peak < 100e6, "bytes; a table of all vertices would take 3.2 GB, one of vertices and positions 320 MB"


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 360.0), st.floats(-90.0, 90.0), st.sampled_from([1e-4, 0.1, 5.0]), st.integers(0, 1000))
def test_width_is_the_largest_distance_of_corners(ra: float, dec: float, size: float, seed: int) -> None:
    try:
        footprint = ConvexFootprint.from_vertices(np.column_stack(scattered(ra, dec, size, 6, seed)))
    except InvalidFootprintError:
        return
    corners = footprint.vertices
    width = max(separation_arcsec(*one, *other) for one in corners for other in corners) / 3600.0
    assert footprint.is_wider_than(0.999999 * float(width))
    assert not footprint.is_wider_than(1.000001 * float(width))


@pytest.mark.parametrize("level", [4, 8, 10])
def test_trixels_are_counted_as_they_are_listed(level: int) -> None:
    footprint = ConvexFootprint.from_vertices(SQUARE)
    assert footprint.n_trixels(level, 20.0) == len(footprint.trixels(level, 20.0))
