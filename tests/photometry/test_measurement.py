"""Fluxes come out as they went in, wherever a star stands and whatever hides a part of it."""

import numpy as np
import pytest

from stream_assoc.photometry.measurement import Flag, Weighting, measure
from stream_assoc.photometry.psf import ConstantPsf, GriddedPsf
from tests.photometry.skies import CELL, NOISE, PLANES, STAMP, WIDTH, exposure, field, gaussian_psf, star

N = 10_000
WEIGHTINGS = list(Weighting)


def assert_unbiased(fluxes, truth) -> None:
    pulls = (fluxes.flux - truth) / fluxes.error
    assert len(pulls) == N
    assert abs(pulls.mean()) < 0.02
    assert abs(pulls.std() - 1.0) < 0.03


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("brightest", [0.0, 300.0, 20_000.0])
def test_fluxes_are_unbiased_at_every_offset_from_a_pixel(weighting, brightest: float) -> None:
    """From nothing, over the limit of detection, to a signal-to-noise ratio of 300; a few of them negative."""
    rng = np.random.default_rng(20260309)
    stars = field(rng, 100, 100, rng.uniform(-0.1 * brightest, brightest, N))
    fluxes = measure(exposure(stars.image, stars.variance), stars.x, stars.y, weighting)
    assert_unbiased(fluxes, stars.flux)
    assert not (fluxes.flags & (Flag.OFF_IMAGE | Flag.NO_GOOD_PIXELS | Flag.BAD_PIXELS)).any()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_fluxes_are_unbiased_near_the_edges(weighting) -> None:
    """Up to the very border, where half of the star is missing."""
    rng = np.random.default_rng(1)
    stars = field(rng, 1, N, rng.uniform(-500.0, 5000.0, N), offset_x=(-0.5, 4.0))
    fluxes = measure(exposure(stars.image, stars.variance), stars.x, stars.y, weighting)
    assert_unbiased(fluxes, stars.flux)
    assert (fluxes.flags & Flag.EDGE).all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_fluxes_are_unbiased_under_masks(weighting) -> None:
    """A tenth of the pixels hold nonsense and are masked, or have no value, or no variance."""
    rng = np.random.default_rng(2)
    stars = field(rng, 100, 100, rng.uniform(-500.0, 5000.0, N))
    kind = rng.choice(5, stars.image.shape, p=[0.025] * 4 + [0.9])
    image = np.where(kind == 0, 1e6, np.where(kind == 1, np.nan, stars.image))
    variance = np.where(kind == 2, 0.0, np.where(kind == 3, np.inf, stars.variance))
    fluxes = measure(
        exposure(image, variance, np.where(kind == 0, 1 << PLANES["SAT"], 0)), stars.x, stars.y, weighting
    )
    assert_unbiased(fluxes, stars.flux)
    assert (fluxes.flags & Flag.BAD_PIXELS).all()


def test_the_inverse_variance_gives_the_smaller_error() -> None:
    rng = np.random.default_rng(3)
    stars = field(rng, 10, 10, 1000.0)
    image = exposure(stars.image, stars.variance)
    uniform = measure(image, stars.x, stars.y, Weighting.UNIFORM)
    optimal = measure(image, stars.x, stars.y, Weighting.INVERSE_VARIANCE)
    assert (optimal.error < uniform.error).all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_where_the_noise_is_even_the_weights_change_nothing(weighting) -> None:
    image = exposure(star([20.3], [19.8], (40, 40))[0] * 500.0)
    fluxes = measure(image, np.array([20.3]), np.array([19.8]), weighting)
    # The interpolation of the PSF is the only error.
    assert fluxes.flux == pytest.approx(500.0, rel=2e-5)
    assert fluxes.error == pytest.approx(NOISE * np.sqrt(4.0 * np.pi) * np.hypot(WIDTH, np.sqrt(1 / 12)), rel=5e-3)


def test_a_shift_by_whole_pixels_changes_nothing_at_all() -> None:
    image = exposure(star([20.0], [20.0], (41, 41))[0])
    fluxes = measure(image, np.array([20.0]), np.array([20.0]))
    assert fluxes.flux == pytest.approx(1.0, rel=1e-6)


def test_fluxes_are_in_nanojansky() -> None:
    pixels = star([20.0], [20.0], (41, 41))[0] * 7.0
    counts, calibrated = (
        measure(exposure(pixels, nJy_per_count=scale), np.array([20.0]), np.array([20.0])) for scale in (1.0, 3.5)
    )
    assert calibrated.flux == pytest.approx(3.5 * counts.flux)
    assert calibrated.error == pytest.approx(3.5 * counts.error)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (20.0, 30.0, Flag(0)),
        (12.49, 30.0, Flag(0)),
        (11.49, 30.0, Flag.EDGE),
        (20.0, 47.51, Flag.EDGE),
        (-0.5, 0.0, Flag.EDGE),
        (39.49, 59.49, Flag.EDGE),
        (-0.51, 30.0, Flag.OFF_IMAGE),
        (39.5, 30.0, Flag.OFF_IMAGE),
        (20.0, 59.5, Flag.OFF_IMAGE),
        (20.0, -1e300, Flag.OFF_IMAGE),
        (np.nan, 30.0, Flag.OFF_IMAGE),
        (20.0, np.inf, Flag.OFF_IMAGE),
    ],
)
def test_flags_of_the_place(x: float, y: float, expected) -> None:
    fluxes = measure(exposure(np.zeros((60, 40))), np.array([x]), np.array([y]))
    assert fluxes.flags.tolist() == [expected]
    assert np.isnan(fluxes.flux[0]) == np.isnan(fluxes.error[0]) == (Flag.OFF_IMAGE in expected)


@pytest.mark.parametrize(
    ("plane", "expected"),
    [
        ("BAD", Flag.BAD_PIXELS | Flag.NO_GOOD_PIXELS),
        ("STREAK", Flag.BAD_PIXELS | Flag.NO_GOOD_PIXELS),
        ("CR", Flag(0)),
    ],
)
def test_only_the_planes_asked_for_hide_a_pixel(plane: str, expected) -> None:
    mask = np.full((60, 60), 1 << PLANES[plane], np.int64).astype(np.uint32).view(np.int32)
    image = exposure(np.zeros((60, 60)), mask=mask)
    fluxes = measure(image, np.array([30.0]), np.array([30.0]), bad_planes=("BAD", "STREAK", "NOT_IN_THIS_IMAGE"))
    assert fluxes.flags.tolist() == [expected]
    assert np.isnan(fluxes.flux[0]) == (Flag.NO_GOOD_PIXELS in expected)


def test_one_bad_pixel_is_flagged_wherever_it_is_under_the_model() -> None:
    mask = np.zeros((60, 60), np.int32)
    mask[30, 30] = 1 << PLANES["SAT"]
    image = exposure(np.zeros((60, 60)), mask=mask)
    x = 30.0 + np.array([0, STAMP // 2, STAMP // 2 + 1])
    assert measure(image, x, np.full(3, 30.0)).flags.tolist() == [Flag.BAD_PIXELS, Flag.BAD_PIXELS, 0]


def test_the_psf_may_change_over_the_image() -> None:
    """Two stars of other widths, the psf of each at its place, and one half-way with the mean of both."""
    size, height = 41, 41
    narrow, wide = (gaussian_psf(width, size).images[0] for width in (1.5, 2.5))
    image = np.zeros((height, 10 * CELL))
    image[:, 10:51] = 100.0 * narrow
    image[:, 110:151] = 50.0 * (narrow + wide)
    image[:, 210:251] = 100.0 * wide
    psf = GriddedPsf.of([narrow, wide, narrow, wide], [30.0, 230.0], [0.0, 40.0])
    fluxes = measure(exposure(image, psf=psf), np.array([30.0, 130.0, 230.0]), np.full(3, 20.0))
    assert fluxes.flux == pytest.approx(100.0, rel=1e-5)
    constant = measure(exposure(image, psf=ConstantPsf.of(wide)), np.array([30.0]), np.array([20.0]))
    assert constant.flux[0] > 110.0


def test_nothing_is_measured_where_nothing_is_asked() -> None:
    fluxes = measure(exposure(np.zeros((60, 60))), np.empty(0), np.empty(0))
    assert len(fluxes.flux) == len(fluxes.error) == len(fluxes.flags) == 0
