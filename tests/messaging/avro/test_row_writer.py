import io
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_assoc.messaging.avro.row_writer import RowWriter
from stream_assoc.messaging.exceptions import EncodeError

INNER = {
    "type": "record",
    "name": "Inner",
    "fields": [{"name": "a", "type": ["null", "double"]}, {"name": "b", "type": "float"}],
}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Everything",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "count", "type": "int"},
        {"name": "other", "type": ["null", "long"]},
        {"name": "name", "type": "string"},
        {"name": "x", "type": "double"},
        {"name": "y", "type": "float"},
        {"name": "flux", "type": ["null", "float"]},
        {"name": "time", "type": ["null", "double"]},
        {"name": "flag", "type": ["null", "boolean"]},
        {"name": "certain", "type": "boolean"},
        {"name": "label", "type": ["null", "string"]},
        {"name": "inner", "type": ["null", INNER]},
        {"name": "more", "type": ["null", {"type": "map", "values": ["null", "double"]}]},
        {"name": "list", "type": {"type": "array", "items": "int"}},
    ],
}
PARSED = fastavro.parse_schema(SCHEMA)

longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
doubles = st.floats(allow_nan=False)
floats = st.floats(width=32, allow_nan=False)
records = st.fixed_dictionaries(
    {
        "id": longs,
        "count": ints,
        "other": st.none() | longs,
        "name": st.text(max_size=5),
        "x": doubles,
        "y": floats,
        "flux": st.none() | floats,
        "time": st.none() | doubles,
        "flag": st.none() | st.booleans(),
        "certain": st.booleans(),
        "label": st.none() | st.text(max_size=80),
        "inner": st.none() | st.fixed_dictionaries({"a": st.none() | doubles, "b": floats}),
        "more": st.none() | st.dictionaries(st.text(max_size=3), st.none() | doubles, max_size=2),
        "list": st.lists(ints, max_size=3),
    }
)


def datum(record: dict[str, Any], schema: Any = PARSED) -> bytes:
    target = io.BytesIO()
    fastavro.schemaless_writer(target, schema, record)
    return target.getvalue()


def one_field(avro_type: Any) -> dict[str, Any]:
    return {"type": "record", "name": "One", "fields": [{"name": "v", "type": avro_type}]}


@given(st.lists(records, max_size=5), st.binary(max_size=6), st.integers(0, 3))
def test_it_writes_what_fastavro_writes_behind_the_prefix(
    rows: list[dict[str, Any]], prefix: bytes, n_before: int
) -> None:
    writer = RowWriter(SCHEMA, prefix)
    table = pa.RecordBatch.from_pylist(rows, schema=writer.arrow_schema)
    # A slice, whose columns do not begin where their buffers do.
    data = writer.write(table.slice(n_before)).to_pylist()
    assert data == [prefix + datum(row) for row in rows[n_before:]]


@given(st.lists(longs, min_size=1))
@example([0, -1, 1, 63, 64, -64, -65, 2**31, 2**62, 2**63 - 1, -(2**63)])
def test_integers_are_written_as_fastavro_writes_them(values: list[int]) -> None:
    schema = one_field("long")
    data = RowWriter(schema).write(pa.record_batch({"v": pa.array(values, pa.int64())}))
    assert data.to_pylist() == [datum({"v": value}, fastavro.parse_schema(schema)) for value in values]


@pytest.mark.parametrize(("avro_type", "width"), [("float", 4), ("double", 8)])
def test_every_nan_is_null_where_that_is_allowed_and_stays_what_it_is_elsewhere(avro_type: str, width: int) -> None:
    bits = {4: [0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF], 8: [0x7FF8 << 48, 0xFFF8 << 48, (0x7FF << 52) + 1]}
    values = np.array(bits[width], f"<u{width}").view(f"<f{width}")
    infinities = np.array([np.inf, -np.inf], values.dtype)
    rows = pa.record_batch({"v": pa.array(np.concatenate([values, infinities]))})
    nullable, required = (
        RowWriter(one_field(one)).write(rows).to_pylist() for one in (["null", avro_type], avro_type)
    )
    assert nullable == [b"\x00"] * len(values) + [b"\x02" + one.tobytes() for one in infinities]
    assert required == [one.tobytes() for one in (*values, *infinities)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no v"),
        ({"v": pa.array([1.0], pa.float64())}, "v is double, it must be float"),
        ({"v": pa.array([1.0, None], pa.float32())}, "v is null in 1 rows"),
    ],
)
def test_columns_that_do_not_fit_are_an_error(columns: dict[str, pa.Array], message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        RowWriter(one_field("float")).write(pa.record_batch(columns))


def test_a_null_inside_a_record_is_an_error_where_a_value_is_required() -> None:
    writer = RowWriter(one_field(["null", INNER]))
    inner = writer.arrow_schema.field("v").type
    column = pa.StructArray.from_arrays([pa.array([1.0]), pa.array([None], pa.float32())], fields=list(inner))
    with pytest.raises(EncodeError, match="b is null in 1 rows"):
        writer.write(pa.record_batch({"v": column}))
