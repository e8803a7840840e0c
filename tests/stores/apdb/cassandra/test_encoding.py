"""Columns are encoded as the driver encodes their values one by one."""

import datetime
import math
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from cassandra import cqltypes
from cassandra.query import UNSET_VALUE
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.stores.apdb.cassandra.connection import PROTOCOL_VERSION
from stream_assoc.stores.apdb.cassandra.encoding import encode_column

KINDS: dict[str, tuple[Any, pa.DataType, st.SearchStrategy[Any]]] = {
    "double": (cqltypes.DoubleType, pa.float64(), st.floats(allow_nan=False)),
    "float": (cqltypes.FloatType, pa.float32(), st.floats(allow_nan=False, width=32)),
    "bigint": (cqltypes.LongType, pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "int": (cqltypes.Int32Type, pa.int64(), st.integers(-(2**31), 2**31 - 1)),
    "smallint": (cqltypes.ShortType, pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "boolean": (cqltypes.BooleanType, pa.bool_(), st.booleans()),
    "text": (cqltypes.UTF8Type, pa.string(), st.text()),
    "blob": (cqltypes.BytesType, pa.binary(), st.binary()),
    "uuid": (cqltypes.UUIDType, pa.binary(16), st.binary(min_size=16, max_size=16)),
    "timestamp": (
        cqltypes.TimestampType,
        pa.timestamp("ms", "UTC"),
        st.integers(0, 2**41).map(lambda ms: datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC)),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_column_is_encoded_as_the_driver_encodes_its_values(kind: str, data: st.DataObject) -> None:
    driver_type, arrow_type, values = KINDS[kind]
    rows = data.draw(st.lists(st.none() | values, max_size=8))
    column = pa.chunked_array([pa.array(rows[:3], arrow_type), pa.array(rows[3:], arrow_type)])
    as_driver_wants = [UUID(bytes=row) if kind == "uuid" and row is not None else row for row in rows]
    expected = [None if row is None else driver_type.serialize(row, PROTOCOL_VERSION) for row in as_driver_wants]
    assert encode_column(column, kind, None).values == expected


def test_what_has_no_value_is_what_the_writer_says() -> None:
    column = pa.chunked_array([[1.0, None, math.nan]])
    assert encode_column(column, "double", None).values[1:] == [None, None]
    assert encode_column(column, "double", UNSET_VALUE).values[1:] == [UNSET_VALUE, UNSET_VALUE]
    for kind in ("text", "float"):
        assert encode_column(pa.chunked_array([pa.nulls(2)]), kind, None).values == [None, None]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int", 2**31), ("smallint", -(2**15) - 1), ("float", 1e39), ("double", "1.0"), ("bigint", 0.5), ("list", 1)],
)
def test_what_a_column_cannot_hold_is_refused(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode_column(pa.chunked_array([[value]]), kind, None)
