"""Whether objects are kept under the pixel that their position is in."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index
from stream_assoc.stores.apdb.reading.inspection import Fault, Find, Placements

_NOWHERE: Final = -1
"""In place of a pixel where there is no position."""


def misplaced(placements: Placements) -> Iterator[Find]:
    """Yield the objects whose ``pixelId`` is not that of their position."""
    pixels = _pixels(placements)
    wrong = (pixels != placements.pixelId) | (pixels != placements.pixel_of_version)
    columns = (placements.diaObjectId, placements.pixelId, placements.pixel_of_version, pixels)
    for identifier, last, version, pixel in zip(*(column[wrong].tolist() for column in columns), strict=True):
        values = {"DiaObjectLast": last, "DiaObject": version, "expected": None if pixel == _NOWHERE else pixel}
        yield Find(Fault.WRONG_PIXEL_ID, {"diaObjectId": identifier}, values)


def _pixels(placements: Placements) -> IntArray:
    exists: BoolArray = np.isfinite(placements.ra) & (np.abs(placements.dec) <= 90.0)
    pixels = np.full(len(placements), _NOWHERE, np.int64)
    pixels[exists] = htm_index(placements.ra[exists], placements.dec[exists], PIXEL_ID_LEVEL)
    return pixels
