"""One definition of a position, and one right ascension for every turn."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.association.candidates import find_candidates
from stream_assoc.core.association.cells import is_position as is_position_in_kernels
from stream_assoc.core.model.batch import SolarSystemObjects
from stream_assoc.core.model.positions import MAX_ABS_RA, has_position, is_position, with_wrapped_ra, wrapped_ra
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.sky.region import trixels_near

EDGES = [
    *(0.0, -0.0, 360.0, -360.0, 720.0, np.nextafter(360.0, 0.0), np.nextafter(0.0, -1.0), -1e-17, 5e-324, -5e-324),
    *(MAX_ABS_RA, -MAX_ABS_RA, np.nextafter(MAX_ABS_RA, np.inf), 1e300, np.nan, np.inf, -np.inf),
]
RAS = st.sampled_from(EDGES) | st.floats(-1000.0, 1000.0) | st.floats()
DECS = st.sampled_from([90.0, -90.0, np.nextafter(90.0, 91.0), np.nan, np.inf]) | st.floats(-95.0, 95.0)


@pytest.mark.parametrize(
    ("given_ra", "expected"),
    [
        (-210.236, 149.764),
        (509.76, 149.76),
        (360.0, 0.0),
        (-360.0, 0.0),
        (-1e-17, 0.0),
        (np.nextafter(360.0, 0.0), np.nextafter(360.0, 0.0)),
        (MAX_ABS_RA, 0.0),
        (1e300, 1e300),
    ],
)
def test_right_ascension_is_in_one_turn(given_ra: float, expected: float) -> None:
    wrapped = float(wrapped_ra(given_ra))
    assert wrapped == pytest.approx(expected, abs=1e-12)
    assert is_position(given_ra, 0.0) == (0.0 <= wrapped < 360.0)


@given(st.lists(RAS, max_size=8))
def test_wrapping_is_exact_where_there_is_nothing_to_do_and_settles_at_once(values: list[float]) -> None:
    ra = np.array(values, dtype=np.float64)
    wrapped = wrapped_ra(ra)
    kept = ((ra >= 0.0) & (ra < 360.0)) | ~has_position(ra, np.zeros(len(ra)))
    assert np.array_equal(wrapped[kept], ra[kept], equal_nan=True)
    assert np.array_equal(wrapped_ra(wrapped), wrapped, equal_nan=True)
    known = has_position(ra, np.zeros(len(ra)))
    assert np.all((wrapped[known] >= 0.0) & (wrapped[known] < 360.0) & ~np.signbit(wrapped[known]))
    difference = np.abs((wrapped[known] - ra[known] + 180.0) % 360.0 - 180.0)
    assert np.all(np.minimum(difference, 360.0 - difference) < 1e-10)


@given(RAS, DECS)
def test_everyone_agrees_what_a_position_is(ra: float, dec: float) -> None:
    expected = math.isfinite(dec) and abs(dec) <= 90.0 and math.isfinite(ra) and abs(ra) <= MAX_ABS_RA
    one_ra, one_dec = np.array([ra]), np.array([dec])
    assert bool(is_position(ra, dec)) == expected
    assert has_position(one_ra, one_dec).tolist() == [expected]
    assert bool(is_position_in_kernels(ra, dec)) == expected
    assert len(find_candidates(one_ra, one_dec, wrapped_ra(one_ra), one_dec, 1.0)) == expected
    if expected:
        # What one calls a position, the mesh has a place for.
        assert len(trixels_near(one_ra, one_dec, 1.0, 10))
        assert len(htm_index(one_ra, one_dec, 10))


def test_rows_keep_their_nulls_and_types() -> None:
    rows = pa.record_batch({"ra": pa.array([-1.0, None, np.nan, 5.0]), "dec": pa.array([0.0, 0.0, 0.0, None])})
    wrapped = with_wrapped_ra(rows)
    assert wrapped.schema == rows.schema
    assert wrapped.column("ra").is_null().to_pylist() == [False, True, False, False]
    assert wrapped.column("ra")[0].as_py() == 359.0
    assert math.isnan(wrapped.column("ra")[2].as_py())
    assert wrapped.column("ra")[3].as_py() == 5.0
    assert with_wrapped_ra(wrapped.slice(3)).column("ra").to_pylist() == [5.0]


def test_predicted_positions_are_wrapped() -> None:
    predicted = SolarSystemObjects(np.array([1, 2]), np.array([-10.0, 360.0]), np.zeros(2))
    assert predicted.ra.tolist() == [350.0, 0.0]
