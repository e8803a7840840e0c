"""One prepared APDB a test, copied from a template because making one takes seconds."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from stream_assoc.stores.apdb.create import init


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("apdb") / "template.db"
    init(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_apdb_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "apdb with space.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> Iterator[str]:
    name = f"template_{uuid4().hex}"
    _execute(postgresql_url, "CREATE DATABASE {}", name)
    init(_database(postgresql_url, name))
    # dax_apdb leaves a connection open, and a database in use cannot be copied.
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [name])
    yield name
    _execute(postgresql_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def postgresql_apdb_url(postgresql_url: str, postgresql_template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    _execute(postgresql_url, "CREATE DATABASE {} TEMPLATE {}", name, postgresql_template)
    yield _database(postgresql_url, name)
    _execute(postgresql_url, "DROP DATABASE {} WITH (FORCE)", name)


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
