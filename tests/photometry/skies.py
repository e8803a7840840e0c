"""Simulated images whose fluxes are known: one star in every cell of a grid."""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from scipy.special import erf

from stream_assoc.core.model.types import FloatArray
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.fits import read_payload
from stream_assoc.photometry.image_bytes import Allowance, read_file
from stream_assoc.photometry.psf import ConstantPsf, Psf

CELL = 26
WIDTH = 1.8
"""Standard deviation of the PSF, pixels: a seeing of 0.85 arcsec on Rubin's pixels."""
STAMP = 25
NOISE = 10.0
PLANES = {"BAD": 0, "SAT": 1, "CR": 3, "NO_DATA": 8, "STREAK": 31}
PIXEL_DEG = 0.2 / 3600.0


def sky(crval=(150.0, 2.0), crpix=(1.0, 1.0)) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = crval, crpix
    wcs.wcs.cd = PIXEL_DEG * np.array([[-0.8, 0.6], [0.6, 0.8]])
    return wcs


def star(x, y, shape, width=WIDTH):
    """Return Gaussian stars of flux one, integrated over the pixels, shape (n, *shape)."""
    along_x, along_y = _profile(x, shape[1], width), _profile(y, shape[0], width)
    return along_y[:, :, None] * along_x[:, None, :]


def _profile(centres, size, width):
    borders = (np.arange(size + 1) - 0.5 - np.asarray(centres)[:, None]) / (np.sqrt(2.0) * width)
    return np.diff(0.5 * erf(borders), axis=1)


def gaussian_psf(width=WIDTH, size=STAMP) -> ConstantPsf:
    return ConstantPsf.of(star([size // 2], [size // 2], (size, size), width)[0])


def exposure(image, variance=None, mask=None, psf: Psf | None = None, nJy_per_count=1.0) -> Exposure:
    image = np.asarray(image, np.float32)
    return Exposure(
        image,
        np.full(image.shape, NOISE**2, np.float32) if variance is None else np.asarray(variance, np.float32),
        np.zeros(image.shape, np.int32) if mask is None else np.asarray(mask, np.int32),
        PLANES,
        sky(),
        gaussian_psf() if psf is None else psf,
        nJy_per_count,
    )


@dataclass(frozen=True)
class Field:
    """Stars, one a cell, and the image that shows them."""

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    image: np.ndarray
    variance: np.ndarray


def field(rng, columns, rows, flux, offset_x=(10.0, 15.0), offset_y=(10.0, 15.0)) -> Field:
    """Return an image of ``rows`` by ``columns`` stars somewhere in their cells, its noise uneven and known."""
    n = rows * columns
    in_cell_x, in_cell_y = rng.uniform(*offset_x, n), rng.uniform(*offset_y, n)
    flux = np.broadcast_to(flux, n)
    cells = (flux[:, None, None] * star(in_cell_x, in_cell_y, (CELL, CELL))).reshape(rows, columns, CELL, CELL)
    image = cells.transpose(0, 2, 1, 3).reshape(rows * CELL, columns * CELL)
    variance = NOISE**2 * rng.uniform(0.5, 2.0, image.shape)
    row, column = np.divmod(np.arange(n), columns)
    return Field(
        in_cell_x + CELL * column,
        in_cell_y + CELL * row,
        flux,
        image + np.sqrt(variance) * rng.standard_normal(image.shape),
        variance,
    )


def image_at(psf: Psf, x: float, y: float) -> FloatArray:
    """Return the image of a source in the middle of a pixel near this position, of total flux one."""
    weights = psf.coefficients(np.array([x]), np.array([y]))[0]
    return np.asarray(np.tensordot(weights, psf.images, axes=1))


def read_exposure(path: str) -> Exposure:
    """Return the exposure in a file, of whatever size."""
    allowance = Allowance()
    return read_payload(read_file(path, allowance), path, allowance)
