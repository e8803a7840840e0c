import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stream_assoc.transform.exceptions import MappingError
from stream_assoc.transform.rules import ColumnRule, RowFilter
from stream_assoc.transform.times import utc_to_tai

TABLE = pa.table(
    {
        "flux": [1.0, -2.0, None, -999.0],
        "error": [0.5, 0.0, 1.0, 2.0],
        "sign": ["t", "f", "f", None],
        "fid": [1, 2, 3, 1],
        "id": [2**60 + 1, 2**60 + 2, 2**60 + 3, None],
    }
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"column": "flux"}, [1.0, -2.0, None, -999.0]),
        ({"column": "flux", "null": (-999.0,), "default": 7.0}, [1.0, -2.0, 7.0, 7.0]),
        ({"column": "flux", "scale": 2.0, "offset": 1.0}, [3.0, -3.0, None, -1997.0]),
        ({"column": "flux", "absolute": True}, [1.0, 2.0, None, 999.0]),
        ({"ratio": ("flux", "error")}, [2.0, None, None, -499.5]),
        ({"constant": 3}, [3, 3, 3, 3]),
        ({"column": "sign", "equals": "f"}, [False, True, True, None]),
        ({"column": "fid", "values": {"1": "g", "2": "r", "3": "i"}}, ["g", "r", "i", "g"]),
        ({"column": "id"}, [2**60 + 1, 2**60 + 2, 2**60 + 3, None]),
    ],
)
def test_what_each_rule_makes(rule, expected) -> None:
    assert ColumnRule(**rule).evaluate(TABLE).to_pylist() == expected


def test_a_value_without_a_replacement_is_named() -> None:
    with pytest.raises(MappingError, match=r"'fid' holds \[2, 3\]"):
        ColumnRule(column="fid", values={"1": "g"}).evaluate(TABLE)


@pytest.mark.parametrize("rule", [{}, {"column": "a", "constant": 1}, {"constant": 1, "equals": 1}, {"code": "1+1"}])
def test_a_rule_that_says_too_little_or_too_much_is_refused(rule) -> None:
    with pytest.raises(ValidationError):
        ColumnRule(**rule)


@pytest.mark.parametrize(
    ("row_filter", "expected"),
    [
        ({"column": "fid", "is_in": (1, 3)}, [True, False, True, True]),
        ({"column": "sign", "is_not_in": ("t",)}, [False, True, True, False]),
        ({"column": "flux", "at_least": -2.0, "below": 1.0}, [False, True, False, False]),
    ],
)
def test_which_rows_pass(row_filter, expected) -> None:
    assert RowFilter(**row_filter).mask(TABLE).to_pylist() == expected


def test_tai_is_ahead_of_utc_by_the_leap_seconds() -> None:
    # 2016-12-31T00:00, 2017-01-01T00:00, 2026-11-22T00:00: 36, 37, 37 s (IERS Bulletin C).
    mjd = np.array([57753.0, 57754.0, 61366.0])
    # Seven days of MJD and the rest in float64 leave a microsecond.
    np.testing.assert_allclose((utc_to_tai(mjd) - mjd) * 86400.0, [36.0, 37.0, 37.0], atol=2e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(57755.0, 62000.0), min_size=1))
def test_the_time_rule_adds_leap_seconds_and_half_an_exposure(mjd) -> None:
    rule = ColumnRule(column="mjd", time_scale="utc", offset_seconds=15.0)
    made = rule.evaluate(pa.table({"mjd": mjd})).to_numpy()
    np.testing.assert_allclose((made - np.array(mjd)) * 86400.0, 52.0, atol=4e-6)
