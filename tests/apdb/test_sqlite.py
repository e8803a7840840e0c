import pytest

from stream_assoc.apdb.factory import SqliteUrl, parse_url
from stream_assoc.apdb.patience import Patience
from stream_assoc.apdb.sqlite import SqliteApdb
from tests.apdb.conformance import ApdbConformance


class TestSqlite(ApdbConformance):
    @pytest.fixture
    def url(self, sqlite_apdb_url: str) -> str:
        return sqlite_apdb_url

    def open_impatiently(self, url: str) -> SqliteApdb:
        parsed = parse_url(url)
        assert isinstance(parsed, SqliteUrl)
        return SqliteApdb(parsed.path, patience=Patience(lock_seconds=0.05))
