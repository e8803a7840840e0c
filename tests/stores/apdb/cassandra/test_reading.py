"""The questions of a reader, on Cassandra."""

import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.open import open_reader
from tests.cassandra.prepared import written
from tests.cassandra.ring import Ring
from tests.stores.apdb.reading.conformance import ReaderConformance
from tests.stores.apdb.reading.nights import StoredNight, cassandra_night

__all__ = ["cassandra_night"]

pytestmark = pytest.mark.integration


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
