"""Circles on the sky as ranges of ``pixelId``, by which an APDB's tables of objects are indexed."""

import math
from collections.abc import Sequence
from typing import Final

from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.stores.apdb.rows.read import pixel_ranges

_DEEPEST_LEVEL: Final = 16
_OCTANT_ARCSEC: Final = 90.0 * 3600.0


def cone(ra: Sequence[float] | FloatArray, dec: Sequence[float] | FloatArray, radius_arcsec: float) -> IntArray:
    """Return the ``pixelId`` ranges that circles touch, from trixels about as large as a circle."""
    level = int(math.log2(_OCTANT_ARCSEC / max(radius_arcsec, 1e-3)))
    level = min(max(level, 0), _DEEPEST_LEVEL, PIXEL_ID_LEVEL)
    return pixel_ranges(trixels_near(ra, dec, radius_arcsec, level), level)
