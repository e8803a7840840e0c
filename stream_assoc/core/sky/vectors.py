"""Positions as unit vectors, and the angles between them."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_assoc.core.model import arrays
from stream_assoc.core.model.positions import wrapped_ra
from stream_assoc.core.model.types import FloatArray

ARCSEC_PER_RADIAN: Final = 180.0 * 3600.0 / math.pi


def unit_vectors(ra: npt.ArrayLike, dec: npt.ArrayLike) -> FloatArray:
    """Return positions as unit vectors.

    Parameters
    ----------
    ra, dec : array-like [float64], shape (n,)
        Degrees.

    Returns
    -------
    vectors : `numpy.ndarray` [float64], shape (n, 3)
        x towards (0, 0), y towards (90, 0), z towards the north pole. A row
        whose ra or dec is not finite holds NaN.
    """
    ra, dec = _aligned(ra, dec)
    return np.asarray(_unit_vectors(ra, dec))


@njit(cache=True, error_model="numpy")
def _unit_vectors(ra: FloatArray, dec: FloatArray) -> FloatArray:
    vectors = np.empty((len(ra), 3))
    for i in range(len(ra)):
        longitude, latitude = ra[i] * (math.pi / 180.0), dec[i] * (math.pi / 180.0)
        cos_latitude = math.cos(latitude)
        vectors[i, 0] = math.cos(longitude) * cos_latitude
        vectors[i, 1] = math.sin(longitude) * cos_latitude
        vectors[i, 2] = math.sin(latitude)
    return vectors


def to_radec(vectors: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the directions of vectors of any positive length.

    Parameters
    ----------
    vectors : array-like [float64], shape (n, 3)

    Returns
    -------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees, 0 <= ra < 360; ra is 0 at the poles. NaN where a vector is not
        finite.
    """
    x, y, z = np.moveaxis(np.asarray(vectors, dtype=np.float64), -1, 0)
    return wrapped_ra(np.degrees(np.arctan2(y, x))), np.degrees(np.arctan2(z, np.hypot(x, y)))


def separation_arcsec(ra1: npt.ArrayLike, dec1: npt.ArrayLike, ra2: npt.ArrayLike, dec2: npt.ArrayLike) -> FloatArray:
    """Return the angles between pairs of positions.

    Vincenty's formula, which loses no digits at small angles, at the poles or
    between antipodes.

    Parameters
    ----------
    ra1, dec1, ra2, dec2 : array-like [float64]
        Degrees; broadcast against each other.

    Returns
    -------
    separation : `numpy.ndarray` [float64]
        Arcseconds.
    """
    delta = np.radians(np.subtract(ra2, ra1))
    lat1, lat2 = np.radians(dec1), np.radians(dec2)
    half_difference = np.sin(np.radians(np.subtract(dec2, dec1)) / 2.0)
    versine = 2.0 * np.sin(delta / 2.0) ** 2
    across = np.cos(lat2) * np.sin(delta)
    along = 2.0 * half_difference * np.cos(np.radians(np.subtract(dec2, dec1)) / 2.0)
    along = along + np.sin(lat1) * np.cos(lat2) * versine
    cosine = np.cos(np.radians(np.subtract(dec2, dec1))) - np.cos(lat1) * np.cos(lat2) * versine
    return np.asarray(np.arctan2(np.hypot(across, along), cosine) * ARCSEC_PER_RADIAN)


def chord(angle_arcsec: float) -> float:
    """Return the distance between unit vectors that are ``angle_arcsec`` apart."""
    return 2.0 * math.sin(angle_arcsec / ARCSEC_PER_RADIAN / 2.0)


def read_only(values: npt.ArrayLike) -> FloatArray:
    """Return float64 values as kernels take them; see `stream_assoc.core.model.arrays.read_only`."""
    return arrays.read_only(np.asarray(values, dtype=np.float64))


def _aligned(ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    longitude, latitude = read_only(ra), read_only(dec)
    if longitude.shape != latitude.shape or longitude.ndim != 1:
        raise ValueError(f"ra and dec must be two columns of one length, not {longitude.shape} and {latitude.shape}")
    return longitude, latitude
