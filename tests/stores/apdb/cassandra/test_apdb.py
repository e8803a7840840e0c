"""The conformance suite on Cassandra."""

from typing import Any

import pytest
from lsst.dax.apdb import Apdb

from stream_assoc.stores.apdb.backend import ApdbUrl
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.testing.apdb import ApdbConformance
from stream_assoc.testing.case import DaxClient
from stream_assoc.testing.checkpoints import OutdatedCheckpointTests
from stream_assoc.testing.other_writers import UPDATES
from tests.cassandra import prepared

ANNOUNCED = [name for name in UPDATES if name != "reassign_to_solar_system"]
"""What dax_apdb leaves a record of on Cassandra (DM-50190 is about the other)."""


class TestCassandra(ApdbConformance, OutdatedCheckpointTests):
    keeps_copies = True

    @pytest.fixture(params=ANNOUNCED)
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def place(self, cassandra_apdb: CassandraUrl) -> ApdbUrl:
        return cassandra_apdb

    @pytest.fixture
    def client(self, place: ApdbUrl) -> DaxClient:
        return Apdb.from_config(place.dax_config())

    @staticmethod
    def select(client: DaxClient, table: str, *columns: str) -> list[tuple[object, ...]]:
        return prepared.select(client, table, *columns)

    @staticmethod
    def replica_chunks(client: DaxClient) -> list[Any]:
        return [chunk for chunk in ApdbConformance.replica_chunks(client) if chunk.unique_id.int]
