"""Columns come out of both databases alike, in Rubin's types."""

from pathlib import Path

import pyarrow as pa
import pytest

from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.sql.columns import open_columns

LARGE = 2**60 + 1


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path):
    made = f"sqlite:///{tmp_path}/apdb.sqlite3" if request.param == "sqlite" else None
    made = made or request.getfixturevalue("postgresql_database")
    init(made)
    return made


def write(url, rows) -> None:
    import sqlalchemy

    from stream_assoc.stores.apdb.factory import parse_url

    engine = sqlalchemy.create_engine(parse_url(url).sqlalchemy_url)
    table = sqlalchemy.Table("DiaObjectLast", sqlalchemy.MetaData(), autoload_with=engine)
    required = {column.name: 0 for column in table.columns if not column.nullable}
    with engine.begin() as connection:
        connection.execute(table.insert(), [required | row for row in rows])
    engine.dispose()


@pytest.mark.integration
def test_columns_keep_types_ids_and_nulls(url) -> None:
    rows = [
        {"diaObjectId": LARGE + n, "ra": 10.0 + n, "raErr": None if n else 0.5, "nDiaSources": n} for n in range(3)
    ]
    write(url, rows)
    with open_columns(url) as reader:
        table = reader.read("DiaObjectLast", ["diaObjectId", "ra", "raErr", "nDiaSources"], '"ra" >= ?', (10.0,))
        table = table.sort_by("diaObjectId")
        assert table.schema.types == [pa.int64(), pa.float64(), pa.float32(), pa.int32()]
        assert table["diaObjectId"].to_pylist() == [LARGE, LARGE + 1, LARGE + 2]
        assert table["raErr"].to_pylist() == [0.5, None, None]
        some = reader.read("DiaObjectLast", ["nDiaSources"], '"ra" > ? AND "ra" < ?', (10.5, 11.5))
        assert some["nDiaSources"].to_pylist() == [1]
        nothing = reader.read("DiaSource", ["diaSourceId", "band", "centroid_flag"])
        assert nothing.schema.types == [pa.int64(), pa.string(), pa.bool_()]
        assert nothing.num_rows == 0


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ApdbSchemaError, match="which does not exist"), open_columns(f"sqlite:///{tmp_path}/none"):
        pass
    with pytest.raises(ApdbConfigurationError, match="no namespaces"), open_columns("sqlite:///x", "n"):
        pass
    # Reading makes none.
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_apdb_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite3").touch()
    with (
        pytest.raises(ApdbSchemaError, match="does not have the tables"),
        open_columns(f"sqlite:///{tmp_path}/empty.sqlite3") as reader,
    ):
        reader.read("DiaSource", ["diaSourceId"])
