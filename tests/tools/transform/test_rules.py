from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stream_assoc.core.model.times import utc_to_tai
from stream_assoc.tools.transform.rules import ColumnRule, RowFilter

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
def test_what_each_rule_makes(rule: dict[str, Any], expected) -> None:
    assert ColumnRule(**rule).evaluate(TABLE).values.to_pylist() == expected


@pytest.mark.parametrize("default", [None, "r"])
def test_rows_with_a_value_that_is_not_named_are_told(default: str | None) -> None:
    made = ColumnRule(column="fid", values={"1": "g"}, default=default).evaluate(TABLE)
    assert made.unknown.tolist() == [False, True, True, False]


def test_of_several_columns_the_first_that_is_there_is_taken() -> None:
    rule = ColumnRule(column=("fluxes", "flux", "error"))
    assert rule.missing(TABLE.schema.names) == ()
    assert rule.evaluate(TABLE).values.to_pylist() == [1.0, -2.0, None, -999.0]
    assert ColumnRule(column=("a", "b")).missing(TABLE.schema.names) == ("a", "b")
    assert ColumnRule(ratio=("flux", "b")).missing(TABLE.schema.names) == ("b",)


@pytest.mark.parametrize(
    "rule", [{"null": (1,)}, {"equals": "t"}, {"values": {"1": "g"}}, {"scale": 2.0}, {"time_scale": "utc"}]
)
@pytest.mark.parametrize("default", [None, 7.0])
def test_a_column_without_a_type_is_null_or_the_default(rule: dict[str, Any], default: float | None) -> None:
    table = pa.table({"a": pa.nulls(2)})
    assert ColumnRule(column="a", default=default, **rule).evaluate(table).values.to_pylist() == [default] * 2


def test_a_date_in_another_unit_stays_what_it_is() -> None:
    """Whoever checks it can then say what it was."""
    times = [2_460_001.0, 1.76e9, -1e9, float("nan")]
    made = ColumnRule(column="mjd", time_scale="utc").evaluate(pa.table({"mjd": times})).values.to_pylist()
    assert made[1:3] == times[1:3]


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
def test_which_rows_pass(row_filter: dict[str, Any], expected: list[bool]) -> None:
    assert RowFilter(**row_filter).mask(TABLE).tolist() == expected


def test_tai_is_ahead_of_utc_by_the_leap_seconds() -> None:
    # 2016-12-31T00:00, 2017-01-01T00:00, 2026-11-22T00:00: 36, 37, 37 s (IERS Bulletin C).
    mjd = np.array([57753.0, 57754.0, 61366.0])
    # Seven days of MJD and the rest in float64 leave a microsecond.
    np.testing.assert_allclose((utc_to_tai(mjd) - mjd) * 86400.0, [36.0, 37.0, 37.0], atol=2e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(57755.0, 62000.0), min_size=1))
def test_the_time_rule_adds_leap_seconds_and_half_an_exposure(mjd) -> None:
    rule = ColumnRule(column="mjd", time_scale="utc", offset_seconds=15.0)
    made = rule.evaluate(pa.table({"mjd": mjd})).values.to_numpy()
    np.testing.assert_allclose((made - np.array(mjd)) * 86400.0, 52.0, atol=4e-6)
