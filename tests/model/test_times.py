from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.model.times import day_obs, mjd_tai_of, night_bounds, night_name, parse_night, utc_of


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
def test_a_night_begins_at_noon(time, night) -> None:
    assert day_obs(mjd_tai_of(time)) == night


@given(st.floats(58_000.0, 90_000.0))
def test_a_moment_lies_within_its_night(mjd) -> None:
    night = day_obs(mjd)
    begin, end = night_bounds(night)
    assert begin - 1e-7 <= mjd < end + 1e-7
    assert end - begin == pytest.approx(1.0)
    assert parse_night(night_name(night)) == parse_night(str(night)) == night


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "20260230", "60000"])
def test_what_is_no_night_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r"no night|no date"):
        parse_night(text)


@pytest.mark.parametrize("mjd", [1e12, -1e12, float("inf")])
def test_what_no_calendar_knows_is_refused(mjd) -> None:
    with pytest.raises(ValueError, match="no date"):
        utc_of(mjd)
