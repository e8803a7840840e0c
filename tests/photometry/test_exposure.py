"""An exposure knows where its pixels are, and what it cannot be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.photometry.exceptions import ImageUnreadableError
from tests.photometry.skies import PLANES, exposure, sky

IMAGE = exposure(np.zeros((60, 80)))


def test_the_reference_pixel_of_the_header_is_counted_from_one() -> None:
    image = replace(IMAGE, wcs=sky(crval=(10.0, -45.0), crpix=(21.0, 31.0)))
    x, y = image.pixels_of(np.array([10.0]), np.array([-45.0]))
    assert x == pytest.approx(20.0)
    assert y == pytest.approx(30.0)


def test_positions_that_the_projection_does_not_reach_are_nowhere() -> None:
    ra, dec = np.array([np.nan, 330.0]), np.array([2.0, -2.0])
    assert np.isnan(IMAGE.pixels_of(ra, dec)[0][0])
    assert not IMAGE.contains(ra, dec).any()


def test_nothing_is_nowhere() -> None:
    x, y = IMAGE.pixels_of(np.empty(0), np.empty(0))
    assert len(x) == len(y) == 0


def test_the_footprint_holds_exactly_the_pixels() -> None:
    footprint = ConvexFootprint.from_vertices(IMAGE.footprint())
    x, y = np.array([-0.4, 79.4, 40.0, -0.6, 79.6, 40.0]), np.array([-0.4, 59.4, 30.0, 30.0, 30.0, 59.6])
    positions = IMAGE.wcs.all_pix2world(x, y, 0)
    for inside in (footprint.contains(*positions), IMAGE.contains(*positions)):
        assert inside.tolist() == [True, True, True, False, False, False]


def test_planes_that_an_image_lacks_have_no_bit() -> None:
    assert IMAGE.bits(()) == 0
    assert IMAGE.bits(("NOT_DEBLENDED",)) == 0
    assert IMAGE.bits(("BAD", "CR", "BAD", "STREAK")) == 1 + 8 + 2**31


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variance": np.zeros((80, 60), np.float32)}, "one shape"),
        ({"mask": np.zeros((1, 1), np.int32)}, "one shape"),
        ({"image": np.zeros(60, np.float32)}, "one shape"),
        ({"nJy_per_count": 0.0}, "calibration"),
        ({"nJy_per_count": np.nan}, "calibration"),
        ({"nJy_per_count": np.inf}, "calibration"),
        ({"mask_planes": {**PLANES, "MORE": 32}}, "between 0 and 31"),
        ({"mask_planes": {"LESS": -1}}, "between 0 and 31"),
    ],
)
def test_an_exposure_that_nothing_can_be_measured_on_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageUnreadableError, match=message):
        replace(IMAGE, **changes)
