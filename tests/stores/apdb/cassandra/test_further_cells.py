"""A session needs a cell that it does not hold, because an object moves there, and another session has it."""

import contextlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra import leases
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.rows import FIRST, changes, dia_object, pixel

pytestmark = pytest.mark.integration

PLACES: Final = sorted(
    [{"ra": 10.0, "dec": -5.0}, {"ra": 10.4, "dec": -5.3}], key=lambda one: pixel(one["ra"], one["dec"], 8)
)
"""Positions in two cells, the lower one first."""


@pytest.fixture
def apdb(cassandra_apdb: CassandraUrl) -> Iterator[CassandraApdb]:
    opened = cassandra_apdb.open(
        tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION
    )
    assert isinstance(opened, CassandraApdb)
    with contextlib.closing(opened):
        yield opened


def cells(place: dict[str, float]) -> IntArray:
    return np.array([pixel(place["ra"], place["dec"], 8)])


@pytest.mark.rules("SortedLeases", "DestinationLeased")
def test_a_lower_cell_is_not_waited_for(apdb: CassandraApdb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule `SortedLeases` of docs/cassandra-protocol.md: its holder may wait for a cell of ours."""
    low, high = PLACES
    batch = changes(FIRST, objects=[dia_object(1, 60000.6, **low)])

    def wait(_seconds: float) -> None:
        raise AssertionError("two sessions may wait for each other")

    with apdb.exclusive(cells(high)) as session, apdb.exclusive(cells(low)):
        monkeypatch.setattr(leases, "_pause", wait)
        with pytest.raises(ApdbUnavailableError, match="another session holds"):
            session.commit([batch])
    with apdb.exclusive(cells(high)) as session:
        session.commit([batch])
    assert apdb.contains(FIRST)


def test_a_higher_cell_is_waited_for(apdb: CassandraApdb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule `SortedLeases` of docs/cassandra-protocol.md: its holder waits for none of ours."""
    low, high = PLACES
    with contextlib.ExitStack() as other, apdb.exclusive(cells(low)) as session:
        other.enter_context(apdb.exclusive(cells(high)))
        monkeypatch.setattr(leases, "_pause", lambda _seconds: other.close())
        session.commit([changes(FIRST, objects=[dia_object(1, 60000.6, **high)])])
    assert apdb.contains(FIRST)
