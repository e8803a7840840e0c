import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from stream_assoc.stores.apdb.create import init
from tests.tools.inspection.skies import Tampering, live_through_a_night


@pytest.fixture(scope="session")
def sqlite_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspection") / "night.sqlite3"
    init(f"sqlite:///{path}")
    live_through_a_night(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_night(postgresql_url: str) -> Iterator[str]:
    """The name of a database to copy."""
    name = f"night_{uuid4().hex}"
    _execute(postgresql_url, "CREATE DATABASE {}", name)
    init(_database(postgresql_url, name))
    live_through_a_night(_database(postgresql_url, name))
    # dax_apdb leaves a connection open, and a database in use cannot be copied.
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [name])
    yield name
    _execute(postgresql_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def sqlite_copy(sqlite_night: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_night, tmp_path / "apdb.sqlite3")
    return f"sqlite:///{tmp_path}/apdb.sqlite3"


@pytest.fixture
def postgresql_copy(postgresql_url: str, postgresql_night: str) -> Iterator[str]:
    name = f"copy_{uuid4().hex}"
    _execute(postgresql_url, "CREATE DATABASE {} TEMPLATE {}", name, postgresql_night)
    yield _database(postgresql_url, name)
    _execute(postgresql_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def apdb(request: pytest.FixtureRequest) -> Tampering:
    """A sound APDB on either database, of this test alone."""
    return Tampering(request.getfixturevalue(f"{request.param}_copy"))


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
