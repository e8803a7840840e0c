from dataclasses import fields

import fastavro
import pytest

from stream_assoc.core.model.batch import measured_columns
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.messaging.avro.schemas import BATCH, METRICS, NAMES, OBJECT, load_schema
from stream_assoc.messaging.exceptions import AvroSchemaError


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_valid_avro(name) -> None:
    schema = fastavro.parse_schema(load_schema(name))
    assert isinstance(schema, dict)
    assert schema["name"].startswith("stream_assoc.v1_0.")


def test_sources_carry_rubins_columns_units_and_documentation() -> None:
    sources = next(field for field in load_schema(BATCH)["fields"] if field["name"] == "diaSources")
    written = {field["name"]: field for field in sources["type"]["items"]["fields"]}
    assert tuple(written) == measured_columns()
    for name, field in written.items():
        column = apdb_table("DiaSource").column(name)
        assert field["doc"] == column.description
        assert field.get("unit", "") == column.unit
        assert isinstance(field["type"], list) == column.nullable


def test_only_what_identifies_and_places_a_source_is_required() -> None:
    sources = next(field for field in load_schema(BATCH)["fields"] if field["name"] == "diaSources")
    required = {field["name"] for field in sources["type"]["items"]["fields"] if "default" not in field}
    assert required == {"diaSourceId", "ra", "dec", "x", "y"}


def test_objects_carry_every_column_and_the_pixel() -> None:
    names = tuple(field["name"] for field in load_schema(OBJECT)["fields"])
    assert names == (*apdb_table("DiaObject").names, "pixelId", "statistics", "pluginStatistics")


def test_metrics_are_the_fields_of_the_record() -> None:
    written = {field["name"]: field["doc"] for field in load_schema(METRICS)["fields"]}
    assert written == {field.name: field.metadata["doc"] for field in fields(AssociationMetrics)}


def test_a_missing_file_says_how_to_get_it() -> None:
    with pytest.raises(AvroSchemaError, match="reinstall stream_assoc"):
        load_schema("no_such_schema")
