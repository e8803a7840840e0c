"""APDBs to look at."""

import pytest

from stream_assoc.stores.apdb.create import init
from tests.stores.apdb.reading.nights import cassandra_night, postgresql_night, sqlite_night

__all__ = ["cassandra_night", "postgresql_night", "sqlite_night"]


@pytest.fixture(scope="session")
def empty_url(tmp_path_factory: pytest.TempPathFactory):
    """An APDB without a row."""
    url = f"sqlite:///{tmp_path_factory.mktemp('empty') / 'empty.db'}"
    init(url)
    return url
