"""DiaSource flags that decide what becomes of a source."""

from typing import Final

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
