"""Forced photometry of a whole detector, beside photutils."""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from astropy.modeling import Fittable2DModel
from astropy.nddata import NDData
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from photutils.psf import GriddedPSFModel, ImagePSF, PSFPhotometry

from benchmarks.side_by_side import Figure, in_turns
from stream_assoc.core.model.types import FloatArray
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.measurement import Fluxes, Weighting, measure
from stream_assoc.photometry.psf import ConstantPsf, GriddedPsf
from tests.photometry.skies import CELL, NOISE, STAMP, WIDTH, exposure, star

Record = Callable[[Figure], None]

SIDE = 4096
N_COLUMNS, N_ROWS = 125, 80
"""Ten thousand stars."""
STEP_X, STEP_Y = SIDE / N_COLUMNS, SIDE / N_ROWS
FIT_SHAPE = (STAMP, STAMP)
COMPARED = 1_000
"""Stars that photutils measures; its time is proportional to their number."""


@dataclass(frozen=True, slots=True)
class Stars:
    """Stars all over a detector, and the image that shows them."""

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    image: FloatArray


def widths(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the width of the PSF at each position: it grows to the right and upwards."""
    return WIDTH * (1.0 + 0.1 * x / SIDE + 0.1 * y / SIDE)


@functools.cache
def stars(varying: bool) -> Stars:
    """Return an image of stars of all brightnesses, at all sub-pixel offsets."""
    random = np.random.default_rng(3)
    row, column = np.divmod(np.arange(N_COLUMNS * N_ROWS), N_COLUMNS)
    x = (column + 0.5) * STEP_X + random.uniform(-2.0, 2.0, len(row))
    y = (row + 0.5) * STEP_Y + random.uniform(-2.0, 2.0, len(row))
    flux = 10.0 ** random.uniform(2.5, 5.0, len(x))
    image = NOISE * random.standard_normal((SIDE, SIDE))
    shape, half = (CELL + 1, CELL + 1), CELL // 2
    width = widths(x, y) if varying else np.full(len(x), WIDTH)
    for one in range(len(x)):
        left, below = int(x[one]) - half, int(y[one]) - half
        cell = star([x[one] - left], [y[one] - below], shape, width[one])[0]
        image[below : below + shape[0], left : left + shape[1]] += flux[one] * cell
    return Stars(x, y, flux, image)


def gridded_model() -> GriddedPSFModel:
    """Return photutils' model of the varying PSF, on a grid of 4 x 4."""
    nodes = [(x, y) for y in np.linspace(0.0, SIDE - 1.0, 4) for x in np.linspace(0.0, SIDE - 1.0, 4)]
    images = [star([STAMP // 2], [STAMP // 2], FIT_SHAPE, widths(np.array(x), np.array(y)))[0] for x, y in nodes]
    return GriddedPSFModel(NDData(np.array(images), meta={"grid_xypos": nodes, "oversampling": 1}))


def photutils_fluxes(model: Fittable2DModel, sky: Stars) -> FloatArray:
    """Return what photutils measures at the first positions, its uncertainties those of the noise."""
    model = model.copy()
    model.x_0.fixed = model.y_0.fixed = True
    photometry = PSFPhotometry(model, FIT_SHAPE)
    begin = Table({"x": sky.x[:COMPARED], "y": sky.y[:COMPARED], "flux": sky.flux[:COMPARED]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        found = photometry(sky.image, error=np.full(sky.image.shape, NOISE), init_params=begin)
    return np.asarray(found["flux_fit"], np.float64)


def ours(image: Exposure, sky: Stars, weighting: Weighting = Weighting.UNIFORM) -> Fluxes:
    return measure(image, sky.x, sky.y, weighting)


def test_forced_photometry_of_a_detector(record: Record) -> None:
    sky = stars(varying=False)
    psf = ConstantPsf.of(star([STAMP // 2], [STAMP // 2], FIT_SHAPE)[0])
    image = exposure(sky.image, psf=psf)
    model = ImagePSF(psf.images[0], x_0=0.0, y_0=0.0)
    compare(record, "one PSF", sky, image, model)


def test_forced_photometry_with_a_gridded_psf(record: Record) -> None:
    sky, model = stars(varying=True), gridded_model()
    image = exposure(sky.image, psf=GriddedPsf.from_photutils(model))
    compare(record, "a PSF on a grid of 4 x 4", sky, image, model)


def compare(record: Record, name: str, sky: Stars, image: Exposure, model: Fittable2DModel) -> None:
    measured, theirs = ours(image, sky), photutils_fluxes(model, sky)
    timed = in_turns(3, ours=lambda: ours(image, sky))
    theirs_timed = in_turns(1, photutils=lambda: photutils_fluxes(model, sky))
    seconds = {**timed.seconds, "photutils": theirs_timed.seconds["photutils"]}
    pull = (measured.flux - sky.flux) / measured.error
    their_pull = (theirs - sky.flux[:COMPARED]) / measured.error[:COMPARED]
    n = len(sky.x)
    record(
        Figure(
            f"forced fluxes of {n:,} positions on {SIDE} x {SIDE}, {name}",
            timed.seconds["ours"],
            "s",
            1.0,
            details=seconds,
        )
    )
    record(
        Figure(
            f"a forced flux, {name} / photutils PSFPhotometry of fixed position",
            (timed.seconds["ours"] / n) / (seconds["photutils"] / COMPARED),
            bar=1.0 / 20.0,
            details=seconds,
        )
    )
    # photutils moves a PSF by a cubic spline, which is off by some 0.04 % of a flux.
    allowed = np.hypot(measured.error[:COMPARED], 0.001 * sky.flux[:COMPARED])
    difference = np.abs(measured.flux[:COMPARED] - theirs) / allowed
    record(
        Figure(
            f"greatest difference from photutils, {name}", float(difference.max()), "errors + 0.1 % of the flux", 0.5
        )
    )
    root_mean_squares = [float(np.sqrt(np.mean(one**2))) for one in (pull[:COMPARED], their_pull)]
    record(
        Figure(
            f"scatter of forced fluxes about the truth, {name} / photutils",
            root_mean_squares[0] / root_mean_squares[1],
            bar=1.02,
        )
    )
    record(
        Figure(
            f"bias of forced fluxes, {name}",
            float(abs(pull.mean())),
            "errors",
            0.04,
        )
    )
