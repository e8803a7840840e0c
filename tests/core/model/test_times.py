from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.model.times import (
    EARLIEST_MJD,
    LATEST_MJD,
    checked_mjd,
    day_obs,
    is_number,
    is_plausible_exposure,
    is_plausible_mjd,
    night_bounds,
    night_name,
    parse_night,
    utc_of,
)
from tests.times import mjd_tai_of


def test_a_known_date() -> None:
    # 2026-01-01T00:00:00 UTC is MJD 61041; TAI is 37 s ahead.
    assert mjd_tai_of(datetime(2026, 1, 1, tzinfo=UTC)) == pytest.approx(61041 + 37 / 86400, abs=1e-9)
    assert mjd_tai_of(datetime(2026, 1, 1)) == mjd_tai_of(datetime(2026, 1, 1, tzinfo=UTC))


@given(st.datetimes(datetime(2017, 2, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_dates_come_back(time) -> None:
    assert abs(utc_of(mjd_tai_of(time)) - time) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("time", "night"),
    [
        (datetime(2026, 1, 1, 11, 59, 59), 20251231),
        (datetime(2026, 1, 1, 12, 0, 1), 20260101),
        (datetime(2026, 1, 2, 4), 20260101),
        (datetime(2024, 3, 1, 3), 20240229),
    ],
)
def test_a_night_begins_at_noon(time, night: int) -> None:
    assert day_obs(mjd_tai_of(time)) == night


@given(st.floats(58_000.0, 90_000.0))
def test_a_moment_lies_within_its_night(mjd) -> None:
    night = day_obs(mjd)
    begin, end = night_bounds(night)
    assert begin - 1e-7 <= mjd < end + 1e-7
    assert end - begin == pytest.approx(1.0)
    assert parse_night(night_name(night)) == parse_night(str(night)) == night


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "20260230", "60000"])
def test_what_is_no_night_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no night|no date"):
        parse_night(text)


@pytest.mark.parametrize("mjd", [1e12, -1e12, float("inf")])
def test_what_no_calendar_knows_is_refused(mjd: float) -> None:
    with pytest.raises(ValueError, match="no date"):
        utc_of(mjd)


def test_dates_from_1950_to_2100_are_plausible() -> None:
    bounds = [mjd_tai_of(datetime(1960, 1, 1, tzinfo=UTC)), mjd_tai_of(datetime(2099, 12, 31, tzinfo=UTC))]
    assert is_plausible_mjd(np.array([EARLIEST_MJD, *bounds, LATEST_MJD])).all()


@given(st.floats(51_544.0, 88_069.0))
def test_a_date_in_another_unit_is_not_plausible(mjd: float) -> None:
    julian, unix, unix_ms = mjd + 2_400_000.5, (mjd - 40_587) * 86_400.0, (mjd - 40_587) * 86_400e3
    others = np.array([julian, unix, unix_ms, mjd * 86_400.0, 0.0, -mjd, np.nan, np.inf, -np.inf])
    assert not is_plausible_mjd(others).any()
    for number in others.tolist():
        with pytest.raises(ValueError, match=r"midpoint is .* MJD in TAI from 33282 to 88069"):
            checked_mjd(number, "midpoint")


@pytest.mark.parametrize("truncated", [2_461_002.5 - 2_440_000.5, 2_461_002.5 - 2_450_000.0, 2026.9, 9_461.0])
def test_a_truncated_date_is_not_plausible(truncated: float) -> None:
    assert not is_plausible_mjd(np.array([truncated])).any()


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (2_461_002.5, "as a Julian date it would be MJD 61002.0"),
        (1.76e9, "as seconds since 1970 it would be MJD 6095"),
    ],
)
def test_the_unit_it_may_be_in_is_named(number: float, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        checked_mjd(number, "midpoint")


def test_exposure_times() -> None:
    seconds = np.array([30.0, 86_400.0, 5e-324, 0.0, -0.0, -30.0, np.inf, np.nan, 86_400.1])
    assert is_plausible_exposure(seconds).tolist() == [True, True, True] + [False] * 6


def test_the_first_morning_of_the_calendar_has_no_night() -> None:
    with pytest.raises(ValueError, match="no date of this calendar"):
        day_obs(-678_575.7)


@pytest.mark.parametrize("value", [np.timedelta64(3, "s"), np.timedelta64("NaT"), True, np.True_, "3", None, 3 + 0j])
def test_what_is_no_number(value: object) -> None:
    assert not is_number(value)


@pytest.mark.parametrize("value", [3, 3.0, np.int8(3), np.uint64(3), np.float32(3.0)])
def test_what_is_a_number(value: object) -> None:
    assert is_number(value)
