"""Brightness of the simulated sky: light curves, depths and errors."""

from typing import Final

import numpy as np

from stream_assoc.core.model.types import FloatArray

AB_ZEROPOINT_NJY: Final = 31.4
"""AB magnitude of 1 nJy."""

FIVE_SIGMA_DEPTH: Final = {"u": 23.9, "g": 25.0, "r": 24.7, "i": 24.0, "z": 23.3, "y": 22.1}
"""Single-visit depth of Rubin for a point source (Ivezić et al. 2019, table 2)."""

COLOUR: Final = {"u": 1.0, "g": 0.3, "r": 0.0, "i": -0.1, "z": -0.15, "y": -0.2}
"""Magnitude minus that in r, a middling star's."""

CALIBRATION_ERROR: Final = 0.005
"""Relative error of every flux, whatever its signal to noise."""


def flux_njy(magnitude: FloatArray) -> FloatArray:
    """Return AB magnitudes as fluxes in nJy."""
    return np.asarray(10.0 ** (0.4 * (AB_ZEROPOINT_NJY - magnitude)))


def flux_error_njy(total_flux: FloatArray, band: str) -> FloatArray:
    """Return the standard deviation of a difference flux, nJy.

    The sky's share follows from the depth of the band; the source's own is
    proportional to its flux on the direct image.
    """
    sky = flux_njy(np.array(FIVE_SIGMA_DEPTH[band])) / 5.0
    return np.asarray(np.hypot(sky, CALIBRATION_ERROR * total_flux), dtype=np.float64)


def position_error_arcsec(snr: FloatArray, seeing_arcsec: float, floor_arcsec: float) -> FloatArray:
    """Return the standard deviation of a position along one axis, arcsec.

    For a Gaussian profile of known width on a flat background it is √2 σ over
    the signal to noise (Condon 1997, PASP 109, 166), here with a floor.
    """
    sigma = seeing_arcsec / np.sqrt(8.0 * np.log(2.0))
    return np.asarray(np.hypot(floor_arcsec, sigma * np.sqrt(2.0) / snr), dtype=np.float64)


def sinusoid(phase: FloatArray) -> FloatArray:
    """Return a magnitude offset with amplitude 1 and mean 0; ``phase`` in turns."""
    return np.asarray(np.sin(2.0 * np.pi * phase))


def rr_lyrae(phase: FloatArray) -> FloatArray:
    """Return a magnitude offset with a fast rise and a slow decline, in [-1, 1] with mean 0."""
    turn = phase % 1.0
    rise = 0.15
    return np.asarray(np.where(turn < rise, 1.0 - 2.0 * turn / rise, -1.0 + 2.0 * (turn - rise) / (1.0 - rise)))


def supernova(days: FloatArray, rise: FloatArray, fall: FloatArray) -> FloatArray:
    """Return a transient's flux relative to its peak, ``days`` after it.

    The exponential rise and fall of Bazin et al. 2009 (A&A 499, 653), shifted
    and scaled so that the greatest value is 1, at 0.
    """
    shifted = days + rise * np.log(fall / rise - 1.0)
    peak = _bazin(rise * np.log(fall / rise - 1.0), rise, fall)
    return _bazin(shifted, rise, fall) / peak


def _bazin(days: FloatArray, rise: FloatArray, fall: FloatArray) -> FloatArray:
    bounded = np.clip(days, -300.0, 1000.0)
    return np.asarray(np.exp(-bounded / fall) / (1.0 + np.exp(-bounded / rise)))
