from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stream_assoc.tools.subscription.since import SubscriptionError, start_of
from tests.times import mjd_tai_of

NOW = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


def ms(time):
    return round(time.timestamp() * 1000)


@pytest.mark.parametrize("name", ["beginning", "latest"])
def test_names(name: str) -> None:
    assert start_of(name) == name


@pytest.mark.parametrize(
    ("since", "time"),
    [
        ("3h", MIDNIGHT),
        ("180m", MIDNIGHT),
        ("10800s", MIDNIGHT),
        ("0.125d", MIDNIGHT),
        (timedelta(hours=3), MIDNIGHT),
        ("2026-01-02", MIDNIGHT),
        ("2026-01-02T00:00", MIDNIGHT),
        ("2026-01-02T00:00:00Z", MIDNIGHT),
        ("2026-01-02T02:00:00+02:00", MIDNIGHT),
        (MIDNIGHT, MIDNIGHT),
        (datetime(2026, 1, 2), MIDNIGHT),
        (date(2026, 1, 2), MIDNIGHT),
        (MIDNIGHT.astimezone(timezone(timedelta(hours=-3))), MIDNIGHT),
    ],
)
def test_times(since, time) -> None:
    assert start_of(since, NOW) == ms(time)


@pytest.mark.parametrize("write", [float, str])
def test_an_mjd_is_tai(write) -> None:
    assert start_of(write(mjd_tai_of(MIDNIGHT)), NOW) == pytest.approx(ms(MIDNIGHT), abs=1)


@pytest.mark.parametrize("since", ["", "soon", "2 hours", "2026-13-01", "h"])
def test_what_is_no_time_is_refused_with_examples(since: str) -> None:
    with pytest.raises(SubscriptionError, match="a duration such as 2h"):
        start_of(since, NOW)


@pytest.mark.parametrize("since", ["90", 2, "nan", "inf", "1e300"])
def test_a_number_that_is_no_date_asks_for_its_unit(since: int | str) -> None:
    with pytest.raises(SubscriptionError, match="add its unit"):
        start_of(since, NOW)


def test_a_long_duration_begins_with_the_epoch() -> None:
    assert start_of("99999d", NOW) == 0


@pytest.mark.parametrize("since", [2_461_002.5, "2461002.5", 1.76e9, "1760000000", 61_000 * 86_400.0])
def test_a_date_in_another_unit_is_refused(since: str | float) -> None:
    with pytest.raises(SubscriptionError, match="MJD in TAI"):
        start_of(since, NOW)


@pytest.mark.parametrize("since", [None, True, [1], b"2h", object()])
def test_what_is_no_time_at_all_is_refused(since: object) -> None:
    with pytest.raises(SubscriptionError, match="which is no time: write a duration such as 2h"):
        start_of(since, NOW)  # type: ignore[arg-type]  # what the type forbids is refused in words


@pytest.mark.parametrize("since", ["9999999d", "9" * 400 + "d", timedelta.max])
def test_a_duration_longer_than_the_calendar_begins_with_the_epoch(since: str | timedelta) -> None:
    assert start_of(since, NOW) == 0


def test_a_number_of_numpy() -> None:
    mjd = np.float32(61_042)
    # The type names no numpy, and yet its numbers are taken.
    assert start_of(mjd, NOW) == start_of(61_042.0, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "since", [pd.NaT, np.timedelta64(2, "h"), np.datetime64("2026-01-01"), np.datetime64("NaT"), 10**400, -(10**400)]
)
def test_what_only_looks_like_a_time_is_refused(since: Any) -> None:
    with pytest.raises(SubscriptionError, match="since is"):
        start_of(since, NOW)
