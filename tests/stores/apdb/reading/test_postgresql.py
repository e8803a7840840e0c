import psycopg
import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.postgresql.backend import PostgresqlUrl
from stream_assoc.stores.apdb.postgresql.reading import PostgresqlDatabase
from stream_assoc.stores.apdb.reading.open import open_reader
from tests import services
from tests.stores.apdb.reading.conformance import SqlReaderConformance
from tests.stores.apdb.sql_urls import sql_url

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def empty_database(postgresql_url: str):
    with services.new_database(postgresql_url) as url:
        init(url)
        yield url


class TestPostgresql(SqlReaderConformance):
    @pytest.fixture(autouse=True)
    def analysed(self, stored) -> None:
        """Statistics of a table reach the server's view with a delay, unless ANALYZE writes them."""
        with psycopg.connect(stored.url, autocommit=True) as connection:
            connection.execute("ANALYZE")

    @pytest.fixture
    def stored(self, postgresql_night):
        return postgresql_night

    @pytest.fixture
    def empty_url(self, empty_database):
        return empty_database

    @pytest.fixture
    def missing_url(self, postgresql_database: str):
        return postgresql_database

    def test_a_statement_that_takes_too_long_is_ended(self, stored) -> None:
        parsed = sql_url(stored.url)
        assert isinstance(parsed, PostgresqlUrl)
        database = PostgresqlDatabase(parsed.conninfo, patience=Patience(answer_seconds=0.2))
        with pytest.raises(ApdbUnavailableError, match="statement timeout"):
            database.fetch("SELECT pg_sleep(60)")
        assert database.estimated_rows()["DiaObject"] > 0
        database.close()

    def test_a_server_that_is_away_is_told(self) -> None:
        with pytest.raises(ApdbUnavailableError, match=r"apdb\.url"):
            open_reader("postgresql://nobody@127.0.0.1:1/nowhere", patience=Patience(connect_seconds=2.0))
