"""Files of another schema are told in a few lines, whatever the schema."""

import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from stream_assoc.messaging.avro.schemas import BATCH, known_schemas, load_schema, schema_id
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.replay.readers import misfits, read_messages


def batch_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(json.dumps(load_schema(BATCH)))
    return schema


def source_field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    sources = next(field for field in schema["fields"] if field["name"] == "diaSources")
    return next(field for field in sources["type"]["items"]["fields"] if field["name"] == name)


def test_a_schema_fits_itself_and_what_it_was_before() -> None:
    assert misfits(load_schema(BATCH), load_schema(BATCH)) == []
    assert misfits(known_schemas(BATCH).writer_schema(schema_id(BATCH, 0)), load_schema(BATCH)) == []


def test_numbers_may_become_wider_and_what_may_be_null_required() -> None:
    schema = batch_schema()
    source_field(schema, "ra")["type"] = "float"
    source_field(schema, "psfFlux")["type"] = "int"
    source_field(schema, "x")["type"] = ["null", "float"]
    assert misfits(schema, load_schema(BATCH)) == []


def test_fields_are_named_with_what_is_wrong() -> None:
    schema = batch_schema()
    schema["fields"][0]["type"] = "string"
    source_field(schema, "ra")["name"] = "right_ascension"
    source_field(schema, "psfFlux")["type"] = ["null", "string"]
    source_field(schema, "y")["type"] = "double"
    assert misfits(schema, load_schema(BATCH)) == [
        "visit is string, not long",
        "diaSources.ra is missing",
        "diaSources.y is double, not float",
        "diaSources.psfFlux is string, not float",
    ]


ALERT = {
    "type": "record",
    "name": "alert",
    "namespace": "lsst.v10_0",
    "fields": [{"name": f"field{number}", "type": ["null", "double"], "doc": "x" * 400} for number in range(150)],
}


@pytest.mark.parametrize("schema", [ALERT, "long", {"type": "array", "items": "string"}, ["null", "double"]])
def test_a_container_of_another_schema_is_told_in_ten_lines(tmp_path: Path, schema: Any) -> None:
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [])
    with pytest.raises(ReplayError, match="not batches of the schema dia_source_batch") as caught:
        list(read_messages(tmp_path / "a.avro", BatchMessages("t")))
    told = str(caught.value)
    assert len(told.splitlines()) <= 10
    assert len(told) < 1_000
    if schema is ALERT:
        assert "lsst.v10_0.alert" in told
        assert "visit is missing" in told


def test_a_value_that_does_not_fit_is_told_in_one_line(tmp_path: Path) -> None:
    schema = batch_schema()
    source_field(schema, "ra")["type"] = ["null", "double"]
    vertex = {"ra": 1.0, "dec": 1.0}
    source = {"diaSourceId": 1, "ra": None, "dec": 1.0, "x": 1.0, "y": 1.0}
    header = {"visit": 1, "detector": 1, "band": "r", "midpointMjdTai": 6e4, "footprint": [vertex] * 3}
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [{**header, "diaSources": [source]}])
    with pytest.raises(ReplayError, match="a value does not fit the schema") as caught:
        list(read_messages(tmp_path / "a.avro", BatchMessages("t")))
    assert len(str(caught.value)) < 300
