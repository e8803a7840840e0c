from dataclasses import fields

import fastavro
import pytest

from stream_assoc.core.model.batch import measured_columns
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.messaging.avro.schemas import (
    BATCH,
    DEAD_LETTER,
    FORCED_SOURCE,
    METRICS,
    NAMES,
    NEXT_VISIT,
    OBJECT,
    known_schemas,
    load_schema,
    schema_id,
)
from stream_assoc.messaging.avro.wire import OWN_IDS, rubin_schema_id
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


WRITTEN_BY_THE_FIRST_RELEASES = {BATCH: 2, OBJECT: 3, FORCED_SOURCE: 1, METRICS: 4, DEAD_LETTER: 1, NEXT_VISIT: 1}
"""How many versions of each schema."""


def test_every_version_of_every_schema_has_an_id_of_its_own() -> None:
    """Which is no alert packet's, and which clients that read it as a signed number keep."""
    ids = [schema_id(name, minor) for name in NAMES for minor in range(schema_id(name) - schema_id(name, 0) + 1)]
    assert len(ids) > len(NAMES)
    assert len({*ids}) == len(ids)
    assert all(OWN_IDS < one < 2**31 for one in ids)


def test_an_id_stays_what_it_is() -> None:
    """Subscribers without a registry keep a table of them."""
    assert {name: schema_id(name, 0) for name in NAMES} == {
        BATCH: 1_001_000_100,
        OBJECT: 1_002_000_100,
        FORCED_SOURCE: 1_003_000_100,
        METRICS: 1_004_000_100,
        DEAD_LETTER: 1_005_000_100,
        NEXT_VISIT: 1_006_000_100,
    }


@pytest.mark.parametrize("name", NAMES)
def test_both_ids_of_what_the_first_releases_wrote_are_known(name: str) -> None:
    schemas = known_schemas(name)
    n_versions = WRITTEN_BY_THE_FIRST_RELEASES[name]
    for minor in range(n_versions):
        written = schemas.writer_schema(rubin_schema_id(1, minor))
        assert written == schemas.writer_schema(schema_id(name, minor))
    assert schemas.get(rubin_schema_id(1, n_versions)) is None
    assert schemas.writer_schema(schema_id(name)) == load_schema(name)
