"""Ephemerides of solar-system objects, and the identifiers they come with."""

import pyarrow as pa
import pytest

from stream_assoc.tools.transform.ephemerides import Ephemerides
from stream_assoc.tools.transform.exceptions import MappingError


def table_of(ids: pa.Array) -> pa.Table:
    series = {f"{body}_{axis}_poly": [[1.0]] * len(ids) for body in ("obj", "obs") for axis in "xyz"}
    return pa.table({"ssObjectId": ids, "tmin": [60_000.0] * len(ids), "tmax": [60_001.0] * len(ids), **series})


def test_identifiers_keep_every_bit_and_come_once() -> None:
    made = Ephemerides.from_table(table_of(pa.array([2**60 + 1, 2**60 + 1, 7])))
    assert made.ssObjectId.tolist() == [7, 2**60 + 1]


@pytest.mark.parametrize("ids", [pa.array([2.0**60]), pa.array([1.5]), pa.array([None], pa.int64()), pa.array(["x"])])
def test_identifiers_that_have_lost_digits_are_refused(ids: pa.Array) -> None:
    with pytest.raises(MappingError, match="ssObjectId of the ephemerides is"):
        Ephemerides.from_table(table_of(ids))
