"""Where cutouts lie, and how their pixels lie on the sky."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from astropy.wcs import WCS
from astropy.wcs.utils import local_partial_pixel_derivatives

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.photometry.cutouts.boxes import Sources, boxes_of
from tests.photometry.skies import exposure, sky

HEIGHT, WIDTH = 100, 120
IMAGE = exposure(np.zeros((HEIGHT, WIDTH)))


def sources(x, y, given_x=None, given_y=None, bboxSize=None, wcs: WCS | None = None) -> Sources:
    """Return sources at these pixels of an image, which claim to be at the given ones."""
    ra, dec = (wcs or sky()).all_pix2world(np.array(x, float), np.array(y, float), 0)
    rows = {
        "ra": ra,
        "dec": dec,
        "x": x if given_x is None else given_x,
        "y": y if given_y is None else given_y,
        "bboxSize": [30] * len(ra) if bboxSize is None else bboxSize,
    }
    table = apdb_table("DiaSource")
    return Sources.of(
        pa.table({name: pa.array(column, table.column(name).arrow_type) for name, column in rows.items()})
    )


def test_sizes_are_those_of_the_footprint_within_bounds() -> None:
    sizes = sources([50.0] * 6, [50.0] * 6, bboxSize=[None, 0, 29, 31, 102, 103]).size
    assert sizes.tolist() == [30, 30, 30, 31, 102, 102]


@pytest.mark.parametrize(
    ("x", "size", "left"),
    [
        (50.0, 31, 35),
        (50.4, 31, 35),
        (50.6, 31, 36),
        (50.0, 30, 36),
        (50.9, 30, 36),
        (3.0, 31, -12),
        (118.0, 31, 103),
    ],
)
def test_a_box_lies_about_its_source(x: float, size: int, left: int) -> None:
    boxes = boxes_of(IMAGE, sources([x], [40.0], bboxSize=[size]))
    assert boxes.left.tolist() == [left]
    assert boxes.x == pytest.approx([x])


def test_sources_off_the_image_have_no_box() -> None:
    x = [-0.6, -0.4, 119.4, 119.6, 60.0, 60.0, 60.0, 60.0]
    y = [50.0, 50.0, 50.0, 50.0, -0.6, -0.4, 99.4, 99.6]
    assert boxes_of(IMAGE, sources(x, y)).source.tolist() == [1, 2, 5, 6]
    none = boxes_of(IMAGE, sources([500.0], [50.0]))
    assert len(none) == 0
    assert none.matrix.shape == (0, 2, 2)


def test_x_and_y_count_in_pixels_of_the_larger_image() -> None:
    part = replace(IMAGE, origin=(2000, -10))
    boxes = boxes_of(part, sources([50.0], [50.0], [2050.4], [39.6], [31]))
    assert (boxes.left.tolist(), boxes.below.tolist()) == ([35], [35])
    moved = boxes_of(part, sources([50.0], [50.0], [2050.6], [40.6], [31]))
    assert (moved.left.tolist(), moved.below.tolist()) == ([36], [36])
    # The reference pixel is the WCS's own.
    assert (moved.x[0], moved.y[0]) == pytest.approx((50.0, 50.0))


@pytest.mark.parametrize("elsewhere", [None, 0.0, 4000.0])
def test_without_pixels_of_this_image_the_wcs_tells_where_a_source_is(elsewhere: float | None) -> None:
    boxes = boxes_of(IMAGE, sources([50.0], [60.0], [elsewhere], [elsewhere], [31]))
    assert (boxes.left.tolist(), boxes.below.tolist()) == ([35], [45])


def distorted() -> WCS:
    wcs = sky(crval=(359.999, -88.5), crpix=(60.0, 50.0))
    header = wcs.to_header()
    header.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=2, B_ORDER=2, A_2_0=2e-4, A_0_2=3e-5)
    header.update(B_1_1=-1e-4)
    return WCS(header)


@pytest.mark.parametrize("wcs", [sky(), distorted()])
def test_the_matrix_is_the_wcs_at_the_source(wcs: WCS) -> None:
    x, y = np.array([10.0, 60.0, 100.0]), np.array([20.0, 49.0, 80.0])
    boxes = boxes_of(replace(IMAGE, wcs=wcs), sources(x, y, wcs=wcs))
    for one in range(3):
        ra, dec = wcs.all_pix2world(x[one], y[one], 0)
        derivatives = local_partial_pixel_derivatives(wcs, x[one], y[one], normalize_by_world=False)
        along_east = derivatives[0] * np.cos(np.radians(dec))
        assert boxes.matrix[one] == pytest.approx(np.array([along_east, derivatives[1]]), rel=1e-3, abs=1e-8)
        linear = WCS(naxis=2)
        linear.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        linear.wcs.crval, linear.wcs.crpix = [ra, dec], [x[one] + 1.0, y[one] + 1.0]
        linear.wcs.pc = boxes.matrix[one]
        # Fifteen pixels away a distortion of second order counts a few hundredths of a pixel.
        around = np.array([[x[one] - 15.0, y[one]], [x[one], y[one] + 15.0]])
        assert linear.all_world2pix(wcs.all_pix2world(around, 0), 0) == pytest.approx(around, abs=0.06)
