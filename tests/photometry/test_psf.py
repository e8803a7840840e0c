"""A PSF model is what its images say, at the nodes and between them."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.nddata import NDData
from photutils.psf import GriddedPSFModel
from scipy.special import erf

from stream_assoc.photometry.exceptions import ImageUnreadableError
from stream_assoc.photometry.psf import ConstantPsf, GriddedPsf
from tests.photometry.skies import gaussian_psf, image_at

SMALL, LARGE = (gaussian_psf(width, 11).images[0] for width in (1.0, 1.5))


def test_a_constant_psf_is_the_same_everywhere_and_of_flux_one() -> None:
    psf = ConstantPsf.of(7.0 * SMALL)
    assert image_at(psf, 3.0, 4.0) == pytest.approx(SMALL)
    assert image_at(psf, -1e6, 1e6).sum() == pytest.approx(1.0)


def test_an_image_that_is_not_quite_square_is_padded_about_its_centre() -> None:
    padded = ConstantPsf.of(SMALL[1:-1]).images[0]
    assert padded.shape == (11, 11)
    assert padded[[0, -1]].max() == 0.0
    assert padded[1:-1] == pytest.approx(SMALL[1:-1] / SMALL[1:-1].sum())


@pytest.mark.parametrize(
    ("x", "y", "share"),
    [(0, 0, 0), (100, 0, 1), (50, 0, 0.5), (25, 10, 0.25), (100, 30, 1), (-50, -50, 0), (900, 900, 1)],
)
def test_a_gridded_psf_is_bilinear_and_ends_with_its_grid(x: int, y: int, share: float) -> None:
    psf = GriddedPsf.of([SMALL, 2.0 * LARGE, SMALL, LARGE], [0.0, 100.0], [10.0, 20.0])
    assert image_at(psf, x, y) == pytest.approx(share * LARGE + (1.0 - share) * SMALL)


def test_rows_of_the_grid_follow_each_other() -> None:
    psf = GriddedPsf.of([SMALL, SMALL, LARGE, LARGE], [0.0, 100.0], [10.0, 20.0])
    assert image_at(psf, 50.0, 20.0) == pytest.approx(LARGE)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones((10, 10)), "odd number"),
        (np.ones((11, 5)), "square"),
        (np.ones((11, 10)), "odd"),
        (np.ones(11), "square"),
        (np.zeros((11, 11)), "positive sum"),
        (-SMALL, "positive sum"),
        (np.full((11, 11), np.nan), "finite"),
    ],
)
def test_an_image_that_is_no_psf_is_refused(image, message: str) -> None:
    with pytest.raises(ImageUnreadableError, match=message):
        ConstantPsf.of(image)


@pytest.mark.parametrize(
    ("x", "y", "message"), [([0.0, 1.0], [0.0, 1.0], "one a node"), ([0.0, 0.0], [0.0], "must ascend")]
)
def test_a_grid_that_is_none_is_refused(x: list[float], y: list[float], message: str) -> None:
    with pytest.raises(ImageUnreadableError, match=message):
        GriddedPsf.of([SMALL, LARGE], x, y)


def photutils_model(oversampling, nodes=((0, 0), (100, 0), (0, 50), (100, 50)), size=11):
    """Return photutils' own model, wider to the right, its images sampled finer than the pixels."""
    images = []
    for x, _ in nodes:
        samples = oversampling * (size // 2) + 0.5 * (oversampling - 1)
        offset = (np.arange(oversampling * size) - samples) / oversampling
        inside = offset[oversampling // 2 : len(offset) - oversampling // 2]
        borders = (inside[:, None] + np.array([-0.5, 0.5])) / (np.sqrt(2.0) * (1.0 + 0.005 * x))
        along = 0.5 * np.diff(erf(borders), axis=1)[:, 0]
        images.append(np.outer(along, along))
    return GriddedPSFModel(NDData(np.array(images), meta={"grid_xypos": nodes, "oversampling": oversampling}))


@pytest.mark.parametrize("oversampling", [1, 3, 5])
def test_photutils_models_are_taken_as_they_are(oversampling: int) -> None:
    model = photutils_model(oversampling)
    psf = GriddedPsf.from_photutils(model)
    assert psf.images.shape[1] == psf.images.shape[2]
    half = psf.images.shape[1] // 2
    pixels = np.arange(-half, half + 1)
    for x, y in ((0.0, 0.0), (50.0, 20.0), (100.0, 50.0), (80.0, 49.0)):
        model.x_0, model.y_0, model.flux = x, y, 1.0
        theirs = model(*np.meshgrid(x + pixels, y + pixels))
        # Each node is scaled to a flux of one, and a wide one has some of its light outside.
        assert image_at(psf, x, y) == pytest.approx(theirs / theirs.sum(), abs=2e-5)


def test_the_order_of_photutils_nodes_is_of_no_account() -> None:
    nodes = [(0, 0), (100, 0), (0, 50), (100, 50)]
    forth, back = (photutils_model(1, order) for order in (nodes, nodes[::-1]))
    assert np.array_equal(GriddedPsf.from_photutils(forth).images, GriddedPsf.from_photutils(back).images)


@pytest.mark.parametrize(
    ("images", "nodes", "message"),
    [
        (np.ones((4, 11, 11)), [(0, 0), (100, 0), (0, 50), (90, 50)], "no rectangular grid"),
        (np.ones((1, 10, 10)), [(0, 0)], "no central one"),
    ],
)
def test_photutils_models_that_fit_no_grid_are_refused(images, nodes: list[tuple[int, int]], message: str) -> None:
    model = SimpleNamespace(data=images, grid_xypos=nodes, oversampling=1)
    with pytest.raises(ImageUnreadableError, match=message):
        GriddedPsf.from_photutils(model)
