"""Dates: MJD TAI, which every table holds, UTC, and the night an exposure belongs to."""

import math
import re
import warnings
from datetime import UTC, date, datetime, timedelta
from typing import Final, NewType

import erfa
import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray

DayObs = NewType("DayObs", int)
"""An observing night as Rubin writes it: YYYYMMDD of the date that begins at noon UTC."""

MJD_ZERO_JD: Final = 2_400_000.5
MJD_OF_UNIX_EPOCH: Final = 40_587
SECONDS_PER_DAY: Final = 86_400.0

EARLIEST_MJD: Final = 33_282.0
"""1950-01-01. Above what truncated dates (JD - 2440000.5, JD - 2450000) give until 2059."""
LATEST_MJD: Final = 88_069.0
"""2100-01-01. Far below every Julian date and every Unix time of a survey."""
LONGEST_EXPOSURE_SECONDS: Final = 86_400.0
"""A day; no visit is longer."""

_FARTHEST_MJD: Final = 1e8
"""What is outside of 0 to this is no date of a survey, and ERFA rejects some of it."""
_MJD_OF_2000: Final = 51_544.0
_NIGHT: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_EPOCH: Final = date(1970, 1, 1)


def is_plausible_mjd(mjd_tai: npt.ArrayLike) -> BoolArray:
    """Tell which numbers can be the MJD of an observation or of its processing.

    Those from 1950 to 2100. Whatever else is finite is a date in another unit:
    a Julian date, Unix seconds, a truncated date, or zero for none.

    Parameters
    ----------
    mjd_tai : array-like [float64]

    Returns
    -------
    plausible : `numpy.ndarray` [bool]
    """
    mjd = np.asarray(mjd_tai, np.float64)
    return np.asarray((mjd >= EARLIEST_MJD) & (mjd <= LATEST_MJD))


def is_plausible_exposure(seconds: npt.ArrayLike) -> BoolArray:
    """Tell which numbers can be the exposure time of a visit: above zero, up to a day.

    NaN is none: ask for what is missing separately.
    """
    values = np.asarray(seconds, np.float64)
    return np.asarray((values > 0.0) & (values <= LONGEST_EXPOSURE_SECONDS))


def is_number(value: object) -> bool:
    """Tell whether something is a single real number, of Python or numpy; a truth value is none.

    Nor is a duration, although numpy counts it among its integers.
    """
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool | np.timedelta64)


def checked_mjd(mjd_tai: float, name: str) -> float:
    """Return a time if it is a plausible one.

    Parameters
    ----------
    mjd_tai : `float`
        MJD TAI.
    name : `str`
        What it is, for the message.

    Raises
    ------
    ValueError
        If it is not; see `is_plausible_mjd`.
    """
    if not is_number(mjd_tai):
        raise ValueError(f"{name} is {type(mjd_tai).__name__}; it must be a number, an MJD in TAI")
    if not is_plausible_mjd(mjd_tai):
        raise ValueError(
            f"{name} is {mjd_tai}; it must be an MJD in TAI from {EARLIEST_MJD:.0f} to {LATEST_MJD:.0f} "
            f"(1950 to 2100){_other_unit(mjd_tai)}"
        )
    return mjd_tai


def _other_unit(number: float) -> str:
    if EARLIEST_MJD <= number - MJD_ZERO_JD <= LATEST_MJD:
        return f"; as a Julian date it would be MJD {number - MJD_ZERO_JD}"
    of_unix = MJD_OF_UNIX_EPOCH + number / SECONDS_PER_DAY
    if _MJD_OF_2000 <= of_unix <= LATEST_MJD:
        return f"; as seconds since 1970 it would be MJD {of_unix:.5f}"
    return ""


def mjd_tai_of_unix(seconds: float) -> float:
    """Return seconds since 1970 UTC as MJD TAI.

    Raises
    ------
    ValueError
        If no calendar date is that far away.
    """
    return float(_converted(erfa.utctai, MJD_OF_UNIX_EPOCH + seconds / SECONDS_PER_DAY))


def unix_of_mjd_tai(mjd: float) -> float:
    """Return MJD TAI as seconds since 1970 UTC."""
    return float(unix_microseconds(np.array([mjd]))[0]) / 1e6


def utc_to_tai(mjd: FloatArray) -> FloatArray:
    """Return UTC dates as TAI.

    The leap seconds are those compiled into ERFA (IAU SOFA ``utctai``), so one
    installation always gives the same answer. TAI - UTC has been 37 s since
    2017-01-01.

    Parameters
    ----------
    mjd : `numpy.ndarray` [float64]
        MJD UTC. NaN, and what is no date of any calendar, is returned as it is.

    Returns
    -------
    mjd : `numpy.ndarray` [float64]
        MJD TAI.
    """
    known = (mjd > 0.0) & (mjd < _FARTHEST_MJD)
    return np.where(known, _converted(erfa.utctai, np.where(known, mjd, 0.0)), mjd)


def unix_microseconds(mjd_tai: FloatArray) -> IntArray:
    """Return TAI dates as microseconds since 1970 UTC, rounded; a date's own step is 0.6 of one.

    Parameters
    ----------
    mjd_tai : `numpy.ndarray` [float64]
        MJD TAI, each a plausible one.

    Raises
    ------
    ValueError
        If one is not finite, or no date of this calendar.
    """
    if not np.isfinite(mjd_tai).all():
        raise ValueError("a time is NaN or infinite; it cannot be counted in microseconds")
    days = _converted(erfa.taiutc, mjd_tai) - MJD_OF_UNIX_EPOCH
    return np.rint(days * (SECONDS_PER_DAY * 1e6)).astype(np.int64)


def utc_of(mjd_tai: float) -> datetime:
    """Return an MJD TAI as a UTC time.

    Raises
    ------
    ValueError
        If no calendar date is that far away, or it is not finite.
    """
    if not math.isfinite(mjd_tai):
        raise ValueError(f"MJD {mjd_tai} is no date")
    try:
        utc = float(_converted(erfa.taiutc, mjd_tai))
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=utc - MJD_OF_UNIX_EPOCH)
    except OverflowError:
        raise ValueError(f"MJD {mjd_tai} is no date of this calendar") from None


def day_obs(mjd_tai: float) -> DayObs:
    """Return the night a moment belongs to: the calendar date at UTC-12h, as Rubin counts them.

    In Chile noon is 15 to 16 h UTC, so a night never changes its date.

    Raises
    ------
    ValueError
        As `utc_of`.
    """
    try:
        moment = utc_of(mjd_tai) - timedelta(hours=12)
    except OverflowError:
        raise ValueError(f"MJD {mjd_tai} is no date of this calendar") from None
    return DayObs(moment.year * 10_000 + moment.month * 100 + moment.day)


def night_bounds(night: DayObs) -> tuple[float, float]:
    """Return when a night begins, and when the next one does, MJD TAI."""
    noon = _date_of(night).toordinal() - _EPOCH.toordinal() + MJD_OF_UNIX_EPOCH + 0.5
    return float(_converted(erfa.utctai, noon)), float(_converted(erfa.utctai, noon + 1.0))


def parse_night(text: str) -> DayObs:
    """Return the night that a text names: ``YYYYMMDD`` or ``YYYY-MM-DD``.

    Raises
    ------
    ValueError
        If it names none.
    """
    found = _NIGHT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no night; write YYYYMMDD or YYYY-MM-DD, the date at UTC-12h")
    night = DayObs(int("".join(found.groups())))
    try:
        _date_of(night)
    except ValueError:
        raise ValueError(f"{text!r} is no date of the calendar") from None
    return night


def night_name(night: DayObs) -> str:
    """Return a night as ``YYYY-MM-DD``."""
    return _date_of(night).isoformat()


def _date_of(night: DayObs) -> date:
    return date(night // 10_000, night // 100 % 100, night % 100)


def _converted(conversion: "erfa.ufunc", mjd: npt.ArrayLike) -> FloatArray:
    with warnings.catch_warnings():
        # ERFA calls a date beyond its table dubious; no leap second has been announced since 2016.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        try:
            whole, fraction = conversion(MJD_ZERO_JD, mjd)
        except erfa.ErfaError:
            raise ValueError(f"MJD {mjd!r} is no date of this calendar") from None
    return np.asarray((whole - MJD_ZERO_JD) + fraction)
