"""Where a subscription begins, from what people write."""

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias

import numpy as np

from stream_assoc.core.model.times import checked_mjd, utc_of
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.kafka.topic_reader import Start


class SubscriptionError(FatalError):
    """A subscription that cannot be had as asked."""


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
