import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.core.sky.vectors import separation_arcsec, to_radec, unit_vectors
from stream_assoc.tools.transform.exceptions import FootprintError
from stream_assoc.tools.transform.footprints import TangentPlane, footprint_of

PLACES = [(0.0, 0.0), (359.9999, -30.0), (12.0, 90.0), (200.0, -90.0), (77.0, 89.999), (180.0, 45.0)]


def ring(ra, dec, radius_arcsec, n=64):
    """Positions at one distance from another one."""
    plane = TangentPlane.at(unit_vectors([ra], [dec])[0])
    angle = np.linspace(0.0, 2.0 * np.pi, n)
    radius = np.tan(np.radians(radius_arcsec / 3600.0))
    return to_radec(plane.unproject(radius * np.cos(angle), radius * np.sin(angle)))


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_one_source_has_a_footprint_with_its_margin(ra, dec) -> None:
    vertices = footprint_of(np.array([ra]), np.array([dec]), 10.0)
    footprint = ConvexFootprint.from_vertices(vertices)
    assert footprint.contains([ra], [dec]).all()
    assert footprint.contains(*ring(ra, dec, 10.0)).all()
    assert not footprint.contains(*ring(ra, dec, 15.0)).any()


@settings(max_examples=60, deadline=None)
@given(
    ra=st.floats(0.0, 360.0),
    dec=st.floats(-90.0, 90.0),
    offsets=st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)), min_size=1, max_size=20),
    margin=st.floats(0.1, 600.0),
)
def test_every_source_is_inside_by_the_margin(ra, dec, offsets, margin) -> None:
    x, y = np.radians(np.array(offsets)).T
    positions = to_radec(TangentPlane.at(unit_vectors([ra], [dec])[0]).unproject(x, y))
    footprint = ConvexFootprint.from_vertices(footprint_of(*positions, margin))
    for one_ra, one_dec in zip(*positions, strict=True):
        assert footprint.contains(*ring(one_ra, one_dec, margin)).all()


def test_a_source_without_a_position_is_left_out() -> None:
    with_nan = footprint_of(np.array([10.0, np.nan]), np.array([5.0, 5.0]), 30.0)
    np.testing.assert_array_equal(with_nan, footprint_of(np.array([10.0]), np.array([5.0]), 30.0))


@pytest.mark.parametrize(
    ("ra", "dec", "margin", "message"),
    [
        ([np.nan], [0.0], 10.0, "finite position"),
        ([0.0, 180.0], [0.0, 0.0], 10.0, "span more than"),
        ([0.0, 30.0], [0.0, 0.0], 10.0, "span more than"),
        ([0.0], [0.0], 0.0, "margin above 0"),
    ],
)
def test_what_outlines_no_patch_is_refused(ra: list[float], dec: list[float], margin: float, message: str) -> None:
    with pytest.raises(FootprintError, match=message):
        footprint_of(np.array(ra), np.array(dec), margin)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_the_tangent_plane_undoes_itself(ra, dec) -> None:
    plane = TangentPlane.at(unit_vectors([ra], [dec])[0], rotation_deg=33.0)
    x, y = np.array([0.0, 0.01, -0.02]), np.array([0.0, 0.03, 0.001])
    back = plane.project(plane.unproject(x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-15)
    assert separation_arcsec(*to_radec(plane.unproject(0.0, 0.0)[np.newaxis]), [ra], [dec]) < 1e-6
