"""Whole columns come out of all databases alike, in Rubin's types, whatever version the APDB has."""

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
import sqlalchemy

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import OUR_TABLES as OUR_CASSANDRA_TABLES
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.rows.tables import OUR_TABLES, quoted
from tests.cassandra.prepared import PreparedApdb, written
from tests.cassandra.ring import Ring
from tests.stores.apdb.sql_urls import drop_triggers, sql_url

LARGE = 2**60 + 1


@pytest.fixture(params=["sqlite", "postgresql", "cassandra"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "cassandra":
        made: str = request.getfixturevalue("cassandra_keyspace")
        return made
    made = f"sqlite:///{tmp_path}/apdb.sqlite3" if request.param == "sqlite" else ""
    made = made or request.getfixturevalue("postgresql_database")
    init(made)
    return made


@pytest.fixture
def cassandra_keyspace(cassandra_node: Ring) -> Iterator[str]:
    apdb = PreparedApdb(CassandraUrl(cassandra_node.addresses, f"any_{uuid4().hex}"))
    yield written(apdb.url)
    apdb.close()


def write(url: str, rows: list[dict[str, Any]]) -> None:
    parsed = parse_url(url)
    if isinstance(parsed, CassandraUrl):
        with closing(parsed.connect(DEFAULT_PATIENCE)) as connection:
            for row in rows:
                values = {"apdb_part": 1, "ra": 0.0, "dec": 0.0} | row
                names, marks = quoted(list(values)), ", ".join("?" * len(values))
                connection.write(f'INSERT INTO "DiaObjectLast" ({names}) VALUES ({marks})', *values.values())
        return
    engine = sqlalchemy.create_engine(sql_url(url).sqlalchemy_url)
    table = sqlalchemy.Table("DiaObjectLast", sqlalchemy.MetaData(), autoload_with=engine)
    required = {column.name: 0 for column in table.columns if not column.nullable}
    with engine.begin() as connection:
        connection.execute(table.insert(), [required | row for row in rows])
    engine.dispose()


def drop_our_tables(url: str) -> None:
    parsed = parse_url(url)
    if isinstance(parsed, CassandraUrl):
        with closing(parsed.connect(DEFAULT_PATIENCE)) as connection:
            for table in OUR_CASSANDRA_TABLES:
                connection.change_tables(f'DROP TABLE "{table}"')
        return
    drop_triggers(url)
    engine = sqlalchemy.create_engine(sql_url(url).sqlalchemy_url)
    with engine.begin() as connection:
        for table in OUR_TABLES:
            connection.execute(sqlalchemy.text(f'DROP TABLE "{table}"'))
    engine.dispose()


@pytest.mark.integration
def test_whole_columns_keep_types_ids_and_nulls(url: str) -> None:
    rows = [
        {"diaObjectId": LARGE + n, "raErr": None if n else 0.5, "lastDiaSourceMjdTai": 60_000.0 + n, "nDiaSources": n}
        for n in range(3)
    ]
    write(url, rows)
    with closing(open_reader(url, any_version=True)) as reader:
        table = reader.objects_observed_since(60_000.0, ["diaObjectId", "ra", "raErr", "nDiaSources"])
        table = table.sort_by("diaObjectId")
        assert table.schema.types == [pa.int64(), pa.float64(), pa.float32(), pa.int32()]
        assert table["diaObjectId"].to_pylist() == [LARGE, LARGE + 1, LARGE + 2]
        assert table["raErr"].to_pylist() == [0.5, None, None]
        some = reader.objects_observed_since(60_000.5)
        assert sorted(some["nDiaSources"].to_pylist()) == [1, 2]
        assert some.column_names == list(apdb_table("DiaObjectLast").names)
        assert reader.objects_observed_since(math.inf, ["ra"]).shape == (0, 1)
        nothing = reader.all_sources(["diaSourceId", "band", "centroid_flag"])
        assert nothing.schema.types == [pa.int64(), pa.string(), pa.bool_()]
        assert nothing.num_rows == 0


@pytest.mark.integration
def test_an_apdb_of_another_pipeline_can_be_read_whole(url: str) -> None:
    drop_our_tables(url)
    write(url, [{"diaObjectId": LARGE, "lastDiaSourceMjdTai": 60_000.0}])
    with pytest.raises(ApdbSchemaError, match="StreamAssoc"):
        open_reader(url)
    with closing(open_reader(url, any_version=True)) as reader:
        assert reader.objects_observed_since(0.0, ["diaObjectId"])["diaObjectId"].to_pylist() == [LARGE]
        assert reader.all_further_statistics().column_names == ["diaObjectId", "validityStartMjdTai"]


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ApdbSchemaError, match="which does not exist"):
        open_reader(f"sqlite:///{tmp_path}/none", any_version=True)
    with pytest.raises(ApdbConfigurationError, match="no namespaces"):
        open_reader("sqlite:///x", "n", any_version=True)
    # Reading makes none.
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_apdb_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite3").touch()
    with (
        closing(open_reader(f"sqlite:///{tmp_path}/empty.sqlite3", any_version=True)) as reader,
        pytest.raises(ApdbSchemaError, match="does not have the tables"),
    ):
        reader.all_sources(["diaSourceId"])
