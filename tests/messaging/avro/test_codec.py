import io
import json
import tracemalloc
from typing import Any

import fastavro
import pyarrow as pa
import pyruhvro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.messaging.avro.codec import ColumnWriter, SealedReader
from stream_assoc.messaging.exceptions import DecodeError, EncodeError

POINT = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "double"}, {"name": "n", "type": "int"}]}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Everything",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "count", "type": "int"},
        {"name": "name", "type": "string"},
        {"name": "flux", "type": ["null", "float"]},
        {"name": "flag", "type": ["null", "boolean"]},
        {"name": "note", "type": ["null", "string"]},
        {"name": "points", "type": {"type": "array", "items": POINT}},
    ],
}
PARSED = fastavro.parse_schema(SCHEMA)

int32 = st.integers(-(2**31), 2**31 - 1)
records = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "count": int32,
        "name": st.text(max_size=20),
        "flux": st.none() | st.floats(width=32, allow_nan=False),
        "flag": st.none() | st.booleans(),
        "note": st.none() | st.text(max_size=20),
        "points": st.lists(st.fixed_dictionaries({"x": st.floats(allow_nan=False), "n": int32}), max_size=5),
    }
)


def datum(record, schema=PARSED):
    target = io.BytesIO()
    fastavro.schemaless_writer(target, schema, record)
    return target.getvalue()


def read(payloads):
    rows = SealedReader(SCHEMA).read(payloads).to_pylist()
    return [{name: entry for name, entry in row.items() if name in record_names()} for row in rows]


def record_names():
    return [field["name"] for field in SCHEMA["fields"]]


@given(st.lists(records, max_size=4))
def test_it_reads_what_fastavro_writes(rows) -> None:
    assert read([datum(row) for row in rows]) == rows


@given(st.lists(records, min_size=1, max_size=4))
def test_fastavro_reads_what_it_writes(rows) -> None:
    writer = ColumnWriter(SCHEMA)
    data = writer.write(pa.RecordBatch.from_pylist(rows, schema=writer.arrow_schema))
    assert data.to_pylist() == [datum(row) for row in rows]


@given(records, st.binary(min_size=1, max_size=40))
def test_bytes_after_the_datum_are_refused(record, garbage) -> None:
    with pytest.raises(DecodeError, match="does not end") as caught:
        SealedReader(SCHEMA).read([datum(record) + garbage])
    assert caught.value.reason == "undecodable"


@given(records, st.data())
def test_a_truncated_datum_is_refused(record, data) -> None:
    whole = datum(record)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DecodeError) as caught:
        SealedReader(SCHEMA).read([whole[:length]])
    assert caught.value.reason == "undecodable"


def test_one_bad_datum_among_good_ones_is_refused() -> None:
    good = datum({"id": 1, "count": 2, "name": "a", "flux": None, "flag": None, "note": None, "points": []})
    reader = SealedReader(SCHEMA)
    assert reader.read([good, good]).num_rows == 2
    with pytest.raises(DecodeError):
        reader.read([good, good + b"\x00", good])


def damaged(record, changes):
    payload = bytearray(datum(record))
    for place, value in changes:
        payload[place % len(payload)] = value
    return bytes(payload)


changes = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=3)


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.builds(damaged, records, changes))
def test_damaged_bytes_are_read_as_fastavro_reads_them_or_refused(payload) -> None:
    try:
        (row,) = read([payload])
    except DecodeError:
        return
    source = io.BytesIO(payload)
    assert repr(fastavro.schemaless_reader(source, PARSED)) == repr(row)
    assert source.tell() == len(payload)


def test_arrays_in_several_blocks_and_with_block_sizes_are_read() -> None:
    schema = {"type": "record", "name": "L", "fields": [{"name": "v", "type": {"type": "array", "items": "long"}}]}
    two_blocks = b"\x02\x0a" + b"\x01\x02\x0c" + b"\x00"
    assert SealedReader(schema).read([two_blocks]).column("v").to_pylist() == [[5, 6]]


def test_pyruhvro_alone_would_accept_bytes_after_the_datum() -> None:
    schema = {"type": "record", "name": "L", "fields": [{"name": "v", "type": "long"}]}
    assert pyruhvro.deserialize_array([b"\x02garbage"], json.dumps(schema)).column("v").to_pylist() == [1]


def test_an_array_that_claims_to_be_huge_reserves_no_memory() -> None:
    schema = {"type": "record", "name": "L", "fields": [{"name": "v", "type": {"type": "array", "items": "double"}}]}
    two_billion = b"\xfe\xff\xff\xff\x0f"
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(DecodeError):
        SealedReader(schema).read([two_billion + b"\x00" * 64])
    assert pa.total_allocated_bytes() == before
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_text_that_is_not_utf_8_is_refused() -> None:
    schema = {"type": "record", "name": "T", "fields": [{"name": "s", "type": "string"}]}
    with pytest.raises(DecodeError, match="UTF8"):
        SealedReader(schema).read([b"\x04\xff\xfe"])


def test_integers_are_read_whole_so_that_none_is_truncated() -> None:
    wide = {"type": "record", "name": "I", "fields": [{"name": "v", "type": "long"}]}
    narrow = {"type": "record", "name": "I", "fields": [{"name": "v", "type": "int"}]}
    written = datum({"v": 2**31}, fastavro.parse_schema(wide))
    assert SealedReader(narrow).read([written]).column("v").to_pylist() == [2**31]


def test_a_schema_that_cannot_be_read_is_incompatible() -> None:
    with pytest.raises(DecodeError, match="writer schema") as caught:
        SealedReader({"type": "record", "name": "B", "fields": [{"name": "v", "type": "no_such_type"}]})
    assert caught.value.reason == "incompatible_schema"


def test_a_null_in_a_required_column_is_an_error_not_a_zero() -> None:
    writer = ColumnWriter({"type": "record", "name": "I", "fields": [{"name": "v", "type": "long"}]})
    with pytest.raises(EncodeError, match="v is null in 1 rows"):
        writer.write(pa.record_batch({"v": pa.array([1, None], pa.int64())}))


@pytest.mark.parametrize("columns", [{"w": pa.array([1])}, {"v": pa.array(["one"])}])
def test_a_column_that_does_not_fit_is_an_error(columns: dict[str, Any]) -> None:
    writer = ColumnWriter({"type": "record", "name": "I", "fields": [{"name": "v", "type": "long"}]})
    with pytest.raises(EncodeError, match="do not fit"):
        writer.write(pa.record_batch(columns))
