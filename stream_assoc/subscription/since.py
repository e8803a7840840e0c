"""Where a subscription begins, from what people write."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from stream_assoc.model.times import utc_of
from stream_assoc.stream.topic_reader import Start
from stream_assoc.subscription.exceptions import SubscriptionError

Since: TypeAlias = str | float | datetime | timedelta
"""``"beginning"``, ``"latest"``, or a time: see `start_of`."""

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LEAST_MJD: Final = 15_020.0
"""1900; a smaller number is no date of an observation but a slip."""


def start_of(since: Since, now: datetime | None = None) -> Start:
    """Return where to begin reading.

    Parameters
    ----------
    since : `str`, `float`, `datetime.datetime` or `datetime.timedelta`
        ``"beginning"`` or ``"latest"``; a duration before now (``"90s"``,
        ``"2h"``, ``"1.5d"``, a `timedelta`); an ISO 8601 time (UTC where it
        names no zone) or a `datetime`; a number, MJD TAI.
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


def _moment(since: Since, now: datetime) -> datetime:
    if isinstance(since, datetime):
        return since if since.tzinfo is not None else since.replace(tzinfo=UTC)
    if isinstance(since, timedelta):
        return now - since
    if isinstance(since, str) and (found := _DURATION.fullmatch(since.strip())) is not None:
        return _moment(timedelta(**{_UNITS[found[2]]: float(found[1])}), now)
    try:
        mjd = float(since)
    except ValueError:
        return _iso(str(since))
    try:
        moment = utc_of(mjd)
    except ValueError:
        moment = None
    if moment is None or mjd < _LEAST_MJD:
        raise SubscriptionError(
            f"{since} is no MJD of an observation; for a duration add its unit, such as {since}m or {since}h"
        )
    return moment


def _iso(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SubscriptionError(
            f"{text!r} is no time: write a duration such as 2h, an ISO time such as 2026-01-01T03:00, or an MJD"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
