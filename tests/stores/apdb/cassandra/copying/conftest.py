"""A source that has lived through a part of a night, and two keyspaces: one to copy into, one to compare with."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from tests.cassandra.prepared import PreparedApdb, written
from tests.cassandra.ring import Ring
from tests.pipeline.bench import APDB_FILE
from tests.pipeline.skies import apdb_url, pinned_services
from tests.stores.apdb.cassandra.copying.nights import live_before_the_copy


@pytest.fixture(scope="session")
def half_a_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an APDB in SQLite that has stored a part of a night, to be copied."""
    folder = tmp_path_factory.mktemp("half a night")
    pinned_services(folder).apdb.close()
    live_before_the_copy(apdb_url(folder))
    return folder


@pytest.fixture
def source(half_a_night: Path, tmp_path: Path) -> str:
    """URL of such an APDB of the test's own."""
    shutil.copy(half_a_night / APDB_FILE, tmp_path)
    return apdb_url(tmp_path)


@pytest.fixture
def target(cassandra_apdb: CassandraUrl) -> str:
    """URL of an empty keyspace as a setting names it."""
    return written(cassandra_apdb)


@pytest.fixture
def connection(cassandra_apdb: CassandraUrl) -> Iterator[Connection]:
    with closing(cassandra_apdb.connect(DEFAULT_PATIENCE)) as connection:
        yield connection


@pytest.fixture(scope="session")
def other_prepared_apdb(cassandra_node: Ring) -> Iterator[PreparedApdb]:
    """Another APDB beside `prepared_apdb`."""
    apdb = PreparedApdb(CassandraUrl(cassandra_node.addresses, f"other_{uuid4().hex}"))
    yield apdb
    apdb.close()


@pytest.fixture
def other_apdb(other_prepared_apdb: PreparedApdb) -> CassandraUrl:
    """Return the URL of that, empty."""
    other_prepared_apdb.empty()
    return other_prepared_apdb.url
