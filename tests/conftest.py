"""Fixtures of every room: real services, started when the first test asks, and the survey data."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from psycopg import sql

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.create import init
from tests import parts, services
from tests.cassandra.prepared import PreparedApdb
from tests.cassandra.ring import Ring
from tests.mutations.plugin import left_out, pytest_generate_tests, pytest_pyfunc_call

__all__ = ["left_out", "pytest_generate_tests", "pytest_pyfunc_call"]

# The same examples in every run, so that a red run is red for its own change. To look for new ones:
# pytest --hypothesis-profile explore
# None is timed: on a busy machine an example may take any time.
_UNTIMED = hypothesis.settings(
    deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("repeatable", _UNTIMED, derandomize=True)
hypothesis.settings.register_profile("explore", _UNTIMED)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker waits for another at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_report_header() -> list[str]:
    """Say at the start what this machine cannot run, so that nothing is skipped unseen."""
    # Whoever has Docker needs no Java.
    asked = [part for part in parts.PARTS if part.is_here or part is not parts.KAFKA or not services.docker_answers()]
    lines = [parts.what_will_not_run(asked), parts.what_is_fetched(services.jars_to_fetch())]
    return [line for line in lines if line is not None]


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Bootstrap servers of a real Apache Kafka, shared by all tests: give topics and groups names of their own."""
    with ExitStack() as stack:
        try:
            bootstrap_servers = stack.enter_context(services.kafka())
        except services.ServiceUnavailableError as error:
            pytest.skip(str(error))
        yield bootstrap_servers


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """URL of a Valkey server that all tests share."""
    with services.valkey() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """URL of a PostgreSQL server, as its superuser."""
    with services.postgresql() as url:
        yield url


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """URL of an empty database that ends with the test."""
    with services.new_database(postgresql_url) as url:
        yield url


@pytest.fixture(scope="session")
def cassandra_node() -> Iterator[Ring]:
    """A ring of one node, shared by all tests: give keyspaces names of their own."""
    with _ring(1) as ring:
        yield ring


@pytest.fixture(scope="session")
def cassandra_ring() -> Iterator[Ring]:
    """A ring of three nodes, shared by all tests: start again what you kill."""
    with _ring(3) as ring:
        yield ring


@pytest.fixture(scope="session")
def prepared_apdb(cassandra_node: Ring) -> Iterator[PreparedApdb]:
    """An APDB for `cassandra_apdb`, made once."""
    apdb = PreparedApdb(CassandraUrl(cassandra_node.addresses, f"prepared_{uuid4().hex}"))
    yield apdb
    apdb.close()


def _ring(n_nodes: int) -> Ring:
    try:
        return Ring(services.cassandra_jars(), n_nodes)
    except services.ServiceUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the survey data, which is not part of the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no survey data in {folder}")
    return folder


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a prepared APDB to be copied, because making one takes seconds."""
    path = tmp_path_factory.mktemp("apdb") / "template.db"
    init(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_apdb_url(sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a prepared APDB of the test's own."""
    path = tmp_path / "apdb with space.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> Iterator[str]:
    """Name of a database with a prepared APDB, to be copied."""
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
    """URL of a prepared APDB of the test's own."""
    name = f"test_{uuid4().hex}"
    _execute(postgresql_url, "CREATE DATABASE {} TEMPLATE {}", name, postgresql_template)
    yield _database(postgresql_url, name)
    _execute(postgresql_url, "DROP DATABASE {} WITH (FORCE)", name)


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
