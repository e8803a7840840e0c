"""Array types, bands and flags: the names that every signature and setting shares.

Angles are degrees unless a name says otherwise, fluxes nJy, times MJD TAI.
Identifiers are int64 above 2**53: they never pass through float64.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
Float32Array: TypeAlias = npt.NDArray[np.float32]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

BANDS: Final = ("u", "g", "r", "i", "z", "y")
"""Rubin's filters in the order of the DiaObject columns; a band's position here is its index."""

BAD_FLAGS: Final = (
    "centroid_flag",
    "pixelFlags_crCenter",
    "pixelFlags_nodataCenter",
    "pixelFlags_interpolatedCenter",
    "pixelFlags_saturatedCenter",
    "pixelFlags_suspectCenter",
    "pixelFlags_streakCenter",
    "glint_trail",
)
"""Flags that keep an unmatched source from becoming an object, as in ``lsst.ap.association``."""
