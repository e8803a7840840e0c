import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BANDS
from stream_assoc.tasks.exceptions import TaskConfigError
from stream_assoc.tasks.schemas import (
    getCcdVisitSchemaSql,
    make_dia_forced_source_schema,
    make_dia_object_schema,
    make_dia_source_schema,
)

GOLDEN = Path(__file__).parents[1] / "data" / "stats" / "expected.parquet"


@pytest.mark.parametrize(
    ("schema", "table"),
    [
        (make_dia_object_schema(), "DiaObject"),
        (make_dia_source_schema(), "DiaSource"),
        (make_dia_forced_source_schema(), "DiaForcedSource"),
    ],
)
def test_every_column_of_the_apdb_is_there_with_unit_and_text(schema: pa.Schema, table: str) -> None:
    for column in apdb_table(table).columns:
        field = schema.field(column.name)
        assert (field.type, field.nullable) == (column.arrow_type, column.nullable)
        assert field.metadata[b"unit"].decode() == column.unit
        assert field.metadata[b"description"].decode() == column.description
    assert all(field.metadata.keys() == {b"unit", b"description"} for field in schema)
    assert all(field.metadata[b"description"] for field in schema)
    assert len(set(schema.names)) == len(schema.names)


def test_objects_have_a_column_for_every_statistic() -> None:
    assert set(pq.read_schema(GOLDEN).names) <= set(make_dia_object_schema().names)


def test_objects_of_some_filters_have_columns_of_those_only() -> None:
    schema = make_dia_object_schema(["g", "r"])
    bands = {name[0] for name in schema.names if name[1] == "_"}
    assert bands == {"g", "r"}
    assert schema.field("g_psfFluxLinearSlope").metadata[b"unit"] == b"nJy/d"
    assert set(make_dia_object_schema([]).names) == {
        name for name in make_dia_object_schema().names if name[1] != "_"
    }
    assert make_dia_object_schema(BANDS).equals(make_dia_object_schema(), check_metadata=True)


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(TaskConfigError, match="filter_names: w is none of u, g, r, i, z, y"):
        make_dia_object_schema(["g", "w"])


def test_ccd_visit_table_can_be_created() -> None:
    columns = getCcdVisitSchemaSql()
    definition = ", ".join(f"{name} {sql_type}" for name, sql_type in columns.items())
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE CcdVisit ({definition})")
        info = database.execute("PRAGMA table_info(CcdVisit)").fetchall()
    assert [row[1] for row in info] == list(columns)
    assert [row[1] for row in info if row[5]] == ["ccdVisitId"]
