"""Visits that are announced before they are taken."""

from dataclasses import dataclass
from typing import Final

from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH, SECONDS_PER_DAY

_EARLIEST_SECONDS: Final = 946_684_800.0
_LATEST_SECONDS: Final = 4_102_444_800.0
"""2000 and 2100: what is outside is a date in another unit, or in milliseconds."""


@dataclass(frozen=True, slots=True)
class AnnouncedVisit:
    """What is known of a visit before its shutter opens.

    Attributes
    ----------
    ra, dec : `float`
        Where the telescope will point: ICRS, degrees, ra in [0, 360).
    startMjdTai : `float` or `None`
        When it is to begin, MJD TAI; `None` if that is not known.
    groupId : `str`
        The observatory's name for it; empty without one. A later announcement of the same name takes its place.
    instrument : `str`
        The camera, empty if that is not told.
    """

    ra: float
    dec: float
    startMjdTai: float | None = None
    groupId: str = ""
    instrument: str = ""

    @property
    def name(self) -> str:
        """What to call it in a log."""
        return self.groupId or f"{self.ra:.3f} {self.dec:+.3f}"


def mjd_of_unix_tai(seconds: float) -> float:
    """Return what Rubin calls a time in TAI, seconds since 1970-01-01 TAI, as MJD TAI.

    Raises
    ------
    ValueError
        If it is not from 2000 to 2100.
    """
    if not _EARLIEST_SECONDS <= seconds <= _LATEST_SECONDS:
        raise ValueError(f"{seconds} is no time from 2000 to 2100 in seconds since 1970, TAI")
    return MJD_OF_UNIX_EPOCH + seconds / SECONDS_PER_DAY


def unix_tai_of_mjd(mjd_tai: float) -> float:
    """Return an MJD TAI as seconds since 1970-01-01 TAI."""
    return (mjd_tai - MJD_OF_UNIX_EPOCH) * SECONDS_PER_DAY
