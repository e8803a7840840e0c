"""A PSF model is what its images say, at the nodes and between them."""

import numpy as np
import pytest

from stream_assoc.photometry.exceptions import ImageUnreadableError
from stream_assoc.photometry.psf import ConstantPsf, GriddedPsf, image_at
from tests.photometry.skies import gaussian_psf

SMALL, LARGE = (gaussian_psf(width, 11).images[0] for width in (1.0, 1.5))


def test_a_constant_psf_is_the_same_everywhere_and_of_flux_one():
    psf = ConstantPsf.of(7.0 * SMALL)
    assert image_at(psf, 3.0, 4.0) == pytest.approx(SMALL)
    assert image_at(psf, -1e6, 1e6).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("x", "y", "share"),
    [(0, 0, 0), (100, 0, 1), (50, 0, 0.5), (25, 10, 0.25), (100, 30, 1), (-50, -50, 0), (900, 900, 1)],
)
def test_a_gridded_psf_is_bilinear_and_ends_with_its_grid(x, y, share):
    psf = GriddedPsf.of([SMALL, 2.0 * LARGE, SMALL, LARGE], [0.0, 100.0], [10.0, 20.0])
    assert image_at(psf, x, y) == pytest.approx(share * LARGE + (1.0 - share) * SMALL)


def test_rows_of_the_grid_follow_each_other():
    psf = GriddedPsf.of([SMALL, SMALL, LARGE, LARGE], [0.0, 100.0], [10.0, 20.0])
    assert image_at(psf, 50.0, 20.0) == pytest.approx(LARGE)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones((10, 10)), "odd number"),
        (np.ones((11, 9)), "square"),
        (np.ones(11), "square"),
        (np.zeros((11, 11)), "positive sum"),
        (-SMALL, "positive sum"),
        (np.full((11, 11), np.nan), "finite"),
    ],
)
def test_an_image_that_is_no_psf_is_refused(image, message):
    with pytest.raises(ImageUnreadableError, match=message):
        ConstantPsf.of(image)


@pytest.mark.parametrize(
    ("x", "y", "message"), [([0.0, 1.0], [0.0, 1.0], "one a node"), ([0.0, 0.0], [0.0], "must ascend")]
)
def test_a_grid_that_is_none_is_refused(x, y, message):
    with pytest.raises(ImageUnreadableError, match=message):
        GriddedPsf.of([SMALL, LARGE], x, y)
