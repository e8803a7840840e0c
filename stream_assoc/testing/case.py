"""What the tests of one backend have in common."""

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, TypeAlias

import astropy.time
import pytest
from lsst.dax.apdb.sql import ApdbSql, ApdbSqlConfig

from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION, Replication

DaxClient: TypeAlias = Any
"""A client of ``lsst.dax.apdb``, such as ``ApdbSql``: its base class lacks methods that each client has."""


class ApdbCase(ABC):
    """The APDB that a test works on, and ways to look into it."""

    @pytest.fixture
    @abstractmethod
    def place(self) -> ApdbUrl:
        """Return an empty APDB, prepared by `Administration.init` with replication, for one test."""

    @pytest.fixture
    def apdb(self, place: ApdbUrl) -> Iterator[OpenApdb]:
        """Open it."""
        with contextlib.closing(self.open(place)) as apdb:
            yield apdb

    @pytest.fixture
    def client(self, place: ApdbUrl) -> DaxClient:
        """Return the real client on the same database. Override it where that is not ``ApdbSql``."""
        config = place.dax_config()
        assert isinstance(config, ApdbSqlConfig)
        return ApdbSql(config)

    @staticmethod
    def open(
        place: ApdbUrl, patience: Patience = DEFAULT_PATIENCE, replication: Replication = DEFAULT_REPLICATION
    ) -> OpenApdb:
        """Open the APDB once more."""
        return place.open(
            tile_level=10,
            flag_columns=("centroid_flag", "psfFlux_flag"),
            patience=patience,
            replication=replication,
        )

    @staticmethod
    def select(client: DaxClient, table: str, *columns: str) -> list[tuple[object, ...]]:
        """Return columns of a table, sorted. Override it where the client is not ``ApdbSql``."""
        names = ", ".join(f'"{column}"' for column in columns)
        with client._engine.connect() as connection:
            rows = connection.exec_driver_sql(f'SELECT {names} FROM "{table}" ORDER BY {names}')
            return [tuple(row) for row in rows]

    @staticmethod
    def replica_chunks(client: DaxClient) -> list[Any]:
        """Return the chunks as a replicator reads them. Override it where it reads other rows with them."""
        return list(client.get_replica().getReplicaChunks() or ())

    @staticmethod
    def enter(apdb: OpenApdb, cells: IntArray, inside: threading.Event) -> None:
        """Take cells, tell that they are held, and give them back."""
        with apdb.exclusive(cells):
            inside.set()

    @staticmethod
    def upstream_chunk(time: float) -> int:
        """Return the replica chunk that dax_apdb gives a time, MJD TAI."""
        from lsst.dax.apdb.apdbReplica import ReplicaChunk

        return ReplicaChunk.make_replica_chunk(astropy.time.Time(time, format="mjd", scale="tai"), 600).id
