"""How well a source and an object agree."""

from typing import Final

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.positions import has_position
from stream_assoc.core.model.types import FloatArray, IntArray

ARCSEC_PER_DEGREE: Final = 3600.0


_LOOKED_AT_ONCE: Final = 4096
_GREATEST_ERROR: Final = float(np.finfo(np.float32).max)
"""What the schema's column cannot hold is missing; the square of anything below is finite."""


def any_usable(errors: npt.NDArray[np.floating], ra: FloatArray, dec: FloatArray) -> bool:
    """Tell whether at least one error is finite and positive, of the rows that have a position.

    Usually one of the first is, and the others are not looked at.
    """
    for begin in range(0, len(errors), _LOOKED_AT_ONCE):
        part = slice(begin, begin + _LOOKED_AT_ONCE)
        if np.any(has_position(ra[part], dec[part]) & np.isfinite(errors[part]) & (errors[part] > 0.0)):
            return True
    return False


def variances(errors: npt.NDArray[np.floating], fallback: float) -> FloatArray:
    """Return squared errors, that of a missing or impossible error being ``fallback`` squared.

    Parameters
    ----------
    errors : `numpy.ndarray` [float32 or float64], shape (n,)
        Degrees. Not finite, zero and negative values count as missing, and
        those beyond float32.
    fallback : `float`
        Degrees.

    Returns
    -------
    variances : `numpy.ndarray` [float64], shape (n,)
        Square degrees.
    """
    wide = np.asarray(errors, dtype=np.float64)
    usable = (wide > 0.0) & (wide <= _GREATEST_ERROR)
    return np.where(usable, wide, fallback) ** 2


def negative_log_likelihood(
    delta_ra: FloatArray, delta_dec: FloatArray, variance_ra: FloatArray, variance_dec: FloatArray
) -> FloatArray:
    """Return half the squared pull in both axes plus half the log of the variances.

    Parameters
    ----------
    delta_ra, delta_dec : `numpy.ndarray` [float64], shape (n,)
        Coordinate differences, degrees; ra is wrapped to +-180 here and, as
        upstream has it, not scaled by cos(dec).
    variance_ra, variance_dec : `numpy.ndarray` [float64], shape (n,)
        Sums of both catalogues' variances, square degrees.

    Returns
    -------
    scores : `numpy.ndarray` [float64], shape (n,)
        The smaller, the better; the constant log(2 pi) is left out.
    """
    wrapped = (delta_ra + 180.0) % 360.0 - 180.0
    pull = wrapped**2 / variance_ra + delta_dec**2 / variance_dec
    return np.asarray(0.5 * pull + 0.5 * np.log(variance_ra * variance_dec))


def runner_up_margins(
    source_row: IntArray, object_row: IntArray, scores: FloatArray, match: IntArray, match_score: FloatArray
) -> FloatArray:
    """Return by how much the best other object of each source is worse than its match.

    Parameters
    ----------
    source_row, object_row, scores : `numpy.ndarray`, shape (n_pairs,)
        The candidate pairs.
    match : `numpy.ndarray` [int64], shape (n_sources,)
        Matched object of each source, or -1.
    match_score : `numpy.ndarray` [float64], shape (n_sources,)

    Returns
    -------
    margins : `numpy.ndarray` [float64], shape (n_sources,)
        NaN where there is no match, inf where there is no other object.
    """
    best_other = np.full(len(match), np.inf)
    others = object_row != match[source_row]
    np.minimum.at(best_other, source_row[others], scores[others])
    return np.where(match >= 0, best_other - match_score, np.nan)
