import io
import itertools

import fastavro
import pyarrow as pa
import pytest
from fastavro.read import SchemaResolutionError

from stream_assoc.messaging.avro.codec import SealedReader, arrow_field
from stream_assoc.messaging.avro.resolution import items, resolve
from stream_assoc.messaging.exceptions import DecodeError

NUMBERS = ("int", "long", "float", "double")
# A long that fits its column is taken, because ints and longs are read alike.
LENIENT = {("long", "int")}


def record(avro_type, **attributes):
    return {"type": "record", "name": "R", "fields": [{"name": "v", "type": avro_type, **attributes}]}


def resolved(entry, written, wanted):
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(record(written)), {"v": entry})
    rows = SealedReader(record(written)).read([target.getvalue()])
    field = record(wanted)["fields"][0]
    ours = resolve({"v": rows.column("v")}, 1, [field], pa.schema([arrow_field(field)]))
    target.seek(0)
    oracle = fastavro.schemaless_reader(
        target, fastavro.parse_schema(record(written)), fastavro.parse_schema(record(wanted))
    )
    assert isinstance(oracle, dict)
    return ours.column("v")[0].as_py(), oracle["v"]


@pytest.mark.parametrize(("written", "wanted"), sorted(set(itertools.product(NUMBERS, NUMBERS)) - LENIENT))
def test_numbers_are_promoted_as_avro_says(written, wanted) -> None:
    try:
        ours, oracle = resolved(3, written, wanted)
    except SchemaResolutionError:
        pytest.fail("fastavro refuses what was accepted")
    except DecodeError as error:
        assert error.reason == "incompatible_schema"  # noqa: PT017
        assert NUMBERS.index(written) > NUMBERS.index(wanted)
    else:
        assert ours == oracle


@pytest.mark.parametrize("entry", [None, 2.5])
def test_null_and_value_are_kept(entry: float | None) -> None:
    ours, oracle = resolved(entry, ["null", "float"], ["null", "double"])
    assert ours == oracle == entry


def test_a_missing_field_takes_its_default_in_every_row() -> None:
    field = record("int", default=4)["fields"][0]
    rows = resolve({}, 3, [field], pa.schema([arrow_field(field)]))
    assert rows.column("v").to_pylist() == [4, 4, 4]


def test_all_missing_fields_are_named() -> None:
    fields = [{"name": name, "type": "int"} for name in ("a", "b", "c")]
    with pytest.raises(DecodeError, match="no a, c;") as caught:
        resolve({"b": pa.array([1])}, 1, fields, pa.schema(map(arrow_field, fields)))
    assert caught.value.reason == "missing_columns"


def test_items_of_all_rows_follow_each_other() -> None:
    item = pa.struct([("x", pa.int64())])
    rows = pa.record_batch({"l": pa.array([[{"x": 9}], [{"x": 1}, {"x": 2}], [], [{"x": 3}]], pa.list_(item))}).slice(
        1
    )
    field = {"name": "l", "type": {"type": "array", "items": record("long")}}
    columns, offsets = items(rows, field)
    assert (columns["x"].to_pylist(), offsets) == ([1, 2, 3], [0, 2, 2, 3])
