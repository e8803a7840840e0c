"""What a float32 cannot hold is null wherever such a column is filled."""

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.floats import finite, without_infinities


@pytest.mark.parametrize("number", [1e39, -1e39, 1e300, np.inf, -np.inf, np.nan])
def test_what_a_float32_cannot_hold_is_null(number: float) -> None:
    assert finite(np.array([1.5, number, 3e38]), pa.float32()).to_pylist() == [1.5, None, float(np.float32(3e38))]


def test_a_float64_holds_it() -> None:
    assert finite(np.array([1e39, np.inf]), pa.float64()).to_pylist() == [1e39, None]


def test_infinities_become_null_where_null_may_be() -> None:
    schema = pa.schema(
        [
            pa.field("ra", pa.float64(), nullable=False),
            pa.field("flux", pa.float32()),
            pa.field("angle", pa.float64()),
            pa.field("id", pa.int64()),
        ]
    )
    flux = np.array([np.inf, -np.inf, np.nan, 3e38, 3e38], np.float32)
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array([1.0, np.inf, 2.0, 3.0, 4.0]),
            pa.array(flux),
            pa.array([1.0, None, 2.0, np.inf, 3.0]),
            pa.array([1] * 5),
        ],
        schema=schema,
    )
    made = without_infinities(rows)
    assert made.schema.equals(schema)
    assert made.column("ra").to_pylist() == rows.column("ra").to_pylist()
    assert made.column("flux").to_pylist()[:2] == [None, None]
    assert np.isnan(made.column("flux")[2].as_py())
    assert made.column("flux").to_pylist()[3:] == [float(np.float32(3e38))] * 2
    assert made.column("angle").to_pylist() == [1.0, None, 2.0, None, 3.0]
    part = without_infinities(rows.slice(3, 2))
    assert part.column("angle").to_pylist() == [None, 3.0]


def test_rows_without_infinities_are_the_same_rows() -> None:
    rows = pa.RecordBatch.from_pydict({"flux": pa.array([1.0, None, 2.0], pa.float32())})
    assert without_infinities(rows) is rows
    assert without_infinities(rows.slice(0, 0)).num_rows == 0


@pytest.mark.filterwarnings("error")
def test_finite_numbers_whose_sum_is_not_are_kept_without_a_warning() -> None:
    schema = pa.schema([pa.field("flux", pa.float32())])
    rows = pa.RecordBatch.from_arrays([pa.array([3e38, 3e38, float("inf")], pa.float32())], schema=schema)
    assert without_infinities(rows).column("flux").is_valid().to_pylist() == [True, True, False]
