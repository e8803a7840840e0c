"""APDBs after a night, one of each kind a session."""

from dataclasses import dataclass
from uuid import uuid4

import pytest

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.create import init
from tests import services
from tests.cassandra.prepared import PreparedApdb, written
from tests.cassandra.ring import Ring
from tests.stores.apdb.reading.stored import store_night


@dataclass(frozen=True)
class StoredNight:
    """Where a night is stored, and the object in it that has forced photometry."""

    url: str
    forced_object: int


@pytest.fixture(scope="session")
def sqlite_night(tmp_path_factory: pytest.TempPathFactory):
    url = f"sqlite:///{tmp_path_factory.mktemp('reader') / 'a night.db'}"
    init(url)
    return StoredNight(url, store_night(url))


@pytest.fixture(scope="session")
def postgresql_night(postgresql_url: str):
    with services.new_database(postgresql_url) as url:
        init(url)
        yield StoredNight(url, store_night(url))


@pytest.fixture(scope="session")
def cassandra_night(cassandra_node: Ring):
    apdb = PreparedApdb(CassandraUrl(cassandra_node.addresses, f"night_{uuid4().hex}"))
    yield StoredNight(written(apdb.url), store_night(written(apdb.url)))
    apdb.close()
