"""Errors of subscriptions."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias

import numpy as np

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.positions import is_position
from stream_assoc.core.model.times import DayObs, checked_mjd, day_obs, utc_of
from stream_assoc.core.sky.vectors import separation_arcsec
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.kafka.topic_reader import Start
from stream_assoc.tools.subscription.records import DiaObjectUpdate, ForcedSource


class SubscriptionError(FatalError):
    """A subscription that cannot be had as asked."""


_ARCSEC_PER_DEGREE = 3600.0


@dataclass(frozen=True, slots=True)
class MetricsSelection:
    """Metrics that meet every condition given.

    Attributes
    ----------
    visits, detectors : `frozenset` [`int`]
        Of one of these; empty for any.
    bands : `frozenset` [`str`]
        In one of these; empty for any.
    night : `DayObs` or `None`
        Observed in this night.
    """

    visits: frozenset[int] = frozenset()
    detectors: frozenset[int] = frozenset()
    bands: frozenset[str] = frozenset()
    night: DayObs | None = None

    def holds(self, metrics: AssociationMetrics) -> bool:
        """Tell whether a record is wanted."""
        return (
            (not self.visits or metrics.visit in self.visits)
            and (not self.detectors or metrics.detector in self.detectors)
            and (not self.bands or metrics.band in self.bands)
            and (self.night is None or day_obs(metrics.midpointMjdTai) == self.night)
        )


@dataclass(frozen=True, slots=True)
class Cone:
    """A circle on the sky.

    Attributes
    ----------
    ra, dec : `float`
        Centre, degrees; ra from -180 to 360, for what is beyond is a slip
        where somebody types it.
    radius_deg : `float`
        At most 180.

    Raises
    ------
    SubscriptionError
        If the centre is no position, or the radius is negative or more than
        half the sky.
    """

    ra: float
    dec: float
    radius_deg: float

    def __post_init__(self) -> None:
        if not (is_position(self.ra, self.dec) and -180.0 <= self.ra <= 360.0):
            raise SubscriptionError(
                f"ra {self.ra:g} dec {self.dec:g} is no position; give degrees, RA from 0 to 360, dec from -90 to 90"
            )
        if not 0.0 <= self.radius_deg <= 180.0:
            raise SubscriptionError(f"a radius of {self.radius_deg:g} is none; give degrees, from 0 to 180")

    def holds(self, ra: float, dec: float) -> bool:
        """Tell whether a position in degrees lies within."""
        separation = separation_arcsec(self.ra, self.dec, ra, dec)
        return bool(separation <= self.radius_deg * _ARCSEC_PER_DEGREE)


@dataclass(frozen=True, slots=True)
class ObjectSelection:
    """Objects that meet every condition given.

    Attributes
    ----------
    ids : `frozenset` [`int`]
        One of these; empty for any.
    cone : `Cone` or `None`
        Within this circle.
    bands : `frozenset` [`str`]
        With a mean flux in one of these; empty for any.
    """

    ids: frozenset[int] = frozenset()
    cone: Cone | None = None
    bands: frozenset[str] = frozenset()

    def holds(self, update: DiaObjectUpdate) -> bool:
        """Tell whether an update is wanted; one that tells an end has no place and no band."""
        if self.ids and update.diaObjectId not in self.ids:
            return False
        if update.has_ended:
            return self.cone is None and not self.bands
        return (self.cone is None or self.cone.holds(update.ra, update.dec)) and (
            not self.bands or not self.bands.isdisjoint(update.bands)
        )


@dataclass(frozen=True, slots=True)
class ForcedSourceSelection:
    """Forced sources that meet every condition given.

    Attributes
    ----------
    ids, visits, detectors : `frozenset` [`int`]
        Of one of these objects, visits and detectors; empty for any.
    bands : `frozenset` [`str`]
        In one of these; empty for any.
    """

    ids: frozenset[int] = frozenset()
    visits: frozenset[int] = frozenset()
    detectors: frozenset[int] = frozenset()
    bands: frozenset[str] = frozenset()

    def holds(self, source: ForcedSource) -> bool:
        """Tell whether a forced source is wanted."""
        return (
            (not self.ids or source.diaObjectId in self.ids)
            and (not self.visits or source["visit"] in self.visits)
            and (not self.detectors or source["detector"] in self.detectors)
            and (not self.bands or source["band"] in self.bands)
        )


Since: TypeAlias = str | float | date | datetime | timedelta
"""``"beginning"``, ``"latest"``, or a time: see `start_of`."""

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EXAMPLES: Final = "write a duration such as 2h, an ISO time such as 2026-01-01T03:00, or an MJD"
_SHOWN_CHARACTERS: Final = 40
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def start_of(since: Since, now: datetime | None = None) -> Start:
    """Return where to begin reading.

    Parameters
    ----------
    since : `str`, `float`, `~datetime.date`, `~datetime.datetime` or `~datetime.timedelta`
        ``"beginning"`` or ``"latest"``; a duration before now (``"90s"``,
        ``"2h"``, ``"1.5d"``, a `timedelta`); an ISO 8601 time (UTC where it
        names no zone) or a `datetime`; a date, whose midnight UTC is meant; a
        number, MJD TAI.
    now : `datetime.datetime`, optional
        The time durations are counted from.

    Returns
    -------
    start : ``"beginning"``, ``"latest"`` or `int`
        A time as milliseconds since 1970 UTC. It is compared with the time a
        message was *published*, not observed.

    Raises
    ------
    SubscriptionError
        If it is none of these.
    """
    if since == "beginning":
        return "beginning"
    if since == "latest":
        return "latest"
    moment = _moment(since, now or datetime.now(UTC))
    return max(0, round(moment.timestamp() * 1000))


def _moment(since: object, now: datetime) -> datetime:
    match since:
        # pandas' NaT calls itself a datetime.
        case datetime() if since != since:  # noqa: PLR0124
            raise SubscriptionError(f"since is {since}, which is no time: {_EXAMPLES}")
        case np.timedelta64() | np.datetime64():
            raise SubscriptionError(
                f"since is numpy's {type(since).__name__}; give a datetime, a timedelta, or {_EXAMPLES}"
            )
        case datetime():
            return since if since.tzinfo is not None else since.replace(tzinfo=UTC)
        case date():
            return datetime.combine(since, time(), UTC)
        case timedelta():
            return _before(now, since)
        case str():
            return _written(since.strip(), now)
        case float() | int() | np.floating() | np.integer() if not isinstance(since, bool):
            return _observed(since)
    raise SubscriptionError(f"since is {type(since).__name__}, which is no time: {_EXAMPLES}")


def _written(text: str, now: datetime) -> datetime:
    if (found := _DURATION.fullmatch(text)) is not None:
        try:
            return _before(now, timedelta(**{_UNITS[found[2]]: float(found[1])}))
        except OverflowError:
            return _EPOCH
    try:
        mjd = float(text)
    except ValueError:
        return _iso(text)
    return _observed(mjd)


def _before(now: datetime, duration: timedelta) -> datetime:
    try:
        return now - duration
    except OverflowError:
        return _EPOCH


def _observed(given: float | np.floating | np.integer) -> datetime:
    try:
        mjd = float(given)
    except OverflowError:
        mjd = math.inf
    try:
        return utc_of(checked_mjd(mjd, "since"))
    except (ValueError, OverflowError) as error:
        raise SubscriptionError(f"{error}; for a duration add its unit, such as {mjd:g}m or {mjd:g}h") from None


def _iso(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SubscriptionError(f"{text[:_SHOWN_CHARACTERS]!r} is no time: {_EXAMPLES}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
