"""The questions of a reader, on Cassandra."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.open import open_reader
from tests.cassandra.prepared import PreparedApdb, written
from tests.cassandra.ring import Ring
from tests.stores.apdb.reading.conformance import ReaderConformance
from tests.stores.apdb.reading.nights import StoredNight
from tests.stores.apdb.reading.stored import store_night

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cassandra_night(cassandra_node: Ring) -> Iterator[StoredNight]:
    apdb = PreparedApdb(CassandraUrl(cassandra_node.addresses, f"night_{uuid4().hex}"))
    yield StoredNight(written(apdb.url), store_night(written(apdb.url)))
    apdb.close()


class TestCassandra(ReaderConformance):
    most_rows = "stream_assoc.stores.apdb.cassandra.near.SEARCH_ROWS"

    @pytest.fixture
    def stored(self, cassandra_night: StoredNight) -> StoredNight:
        return cassandra_night

    @pytest.fixture
    def empty_url(self, cassandra_apdb: CassandraUrl) -> str:
        return written(cassandra_apdb)

    @pytest.fixture
    def missing_url(self, cassandra_node: Ring) -> str:
        return f"cassandra://{cassandra_node.addresses[0]}/nothing"

    def test_a_ring_that_is_away_is_told(self) -> None:
        with pytest.raises(ApdbUnavailableError, match=r"apdb\.url"):
            open_reader("cassandra://127.0.0.1:1/nowhere", patience=Patience(connect_seconds=2.0))
