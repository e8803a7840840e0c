import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.tools.verification.differences import Tolerance, compare

LARGE = 2**60
EXACT = Tolerance()


def table(**columns):
    return pa.table(columns)


def test_equal_tables_are_equal_in_any_order() -> None:
    left = table(
        id=[LARGE, LARGE + 1, 3], flux=[1.0, None, float("nan")], band=["g", None, "r"], flag=[True, None, False]
    )
    right = left.take([2, 0, 1])
    assert compare("t", left, right, ["id"], tolerance=EXACT).is_equal


def test_ids_beyond_2_53_are_told_apart() -> None:
    left = table(id=[1], diaObjectId=[LARGE])
    right = table(id=[1], diaObjectId=[LARGE + 1])
    (column,) = compare("t", left, right, ["id"], tolerance=Tolerance(1.0, 1e9)).columns
    assert (column.name, column.n_rows, column.greatest) == ("diaObjectId", 1, 1.0)
    assert column.example == f"1: {LARGE} and {LARGE + 1}"
    neighbours = compare("t", table(id=[LARGE]), table(id=[LARGE + 1]), ["id"], tolerance=EXACT)
    assert (neighbours.only_left, neighbours.only_right) == ((str(LARGE),), (str(LARGE + 1),))


def test_rows_of_one_side_are_named_and_counted() -> None:
    left = table(visit=[1] * 9, detector=list(range(9)), n=[0] * 9)
    right = table(visit=[1, 2], detector=[0, 0], n=[0, 0])
    found = compare("t", left, right, ["visit", "detector"], tolerance=EXACT)
    assert (found.n_only_left, found.only_left) == (8, ("1.1", "1.2", "1.3", "1.4", "1.5"))
    assert (found.n_only_right, found.only_right) == (1, ("2.0",))
    assert (found.n_rows_differ, found.is_equal) == (0, False)


def test_columns_that_differ_are_told_with_the_most_first() -> None:
    left = table(id=[1, 2, 3], a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0], c=["x", "y", "z"], ignored=[1, 2, 3])
    right = table(id=[1, 2, 3], a=[1.0, 2.5, 3.0], b=[0.0, 0.0, 3.0], c=["x", "y", None], ignored=[0, 0, 0])
    found = compare("t", left, right, ["id"], tolerance=EXACT, ignored={"ignored"})
    assert [(one.name, one.n_rows, one.greatest) for one in found.columns] == [
        ("b", 2, 2.0),
        ("a", 1, 0.5),
        ("c", 1, None),
    ]
    assert found.n_rows_differ == 3


def test_a_value_and_none_differ() -> None:
    left, right = table(id=[1, 2], a=[1.0, None]), table(id=[1, 2], a=[None, 1.0])
    (column,) = compare("t", left, right, ["id"], tolerance=Tolerance(1.0, 1.0)).columns
    assert (column.n_rows, column.greatest) == (2, None)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 0.5), st.floats(0, 10.0))
def test_tolerances(one, other, relative, absolute) -> None:
    left, right = table(id=[1], a=[one]), table(id=[1], a=[other])
    allowed = absolute + relative * max(abs(one), abs(other))
    assert compare("t", left, right, ["id"], tolerance=Tolerance(relative, absolute)).is_equal == (
        abs(np.float64(one) - other) <= allowed
    )


def test_a_key_must_name_one_row() -> None:
    with pytest.raises(ValueError, match="does not name one row"):
        compare("t", table(id=[1, 1]), table(id=[1]), ["id"], tolerance=EXACT)


def test_nothing_equals_nothing() -> None:
    empty = table(id=pa.array([], pa.int64()), a=pa.array([], pa.float32()))
    assert compare("t", empty, empty, ["id"], tolerance=EXACT).is_equal
