"""What is written into the cache late, or was read while half of a batch's rows were there, is not believed.

Each test is about rules of docs/cassandra-protocol.md that it names, on a real node and a real cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.cache import ObjectCache
from stream_assoc.pipeline.services import Services
from stream_assoc.pipeline.warming import Warmer
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.requests import Request
from stream_assoc.stores.apdb.cassandra.tables import OBJECT
from stream_assoc.stores.apdb.cassandra.unlocked_reader import UnlockedReader
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.wiring.stores import open_services
from tests.cassandra.prepared import written
from tests.chaos.outcome import sky_in
from tests.configured import configured
from tests.pipeline.skies import PINNED, batch, processed_from

pytestmark = pytest.mark.integration

RA, DEC = [150.0, 150.03, 150.06], [2.0, 2.01, 2.02]
Two = tuple[Services, Services]


@pytest.fixture
def two(cassandra_apdb: CassandraUrl, valkey_url: str) -> Iterator[Two]:
    """Return the services of the daemon that sleeps, and of the one that goes on."""
    settings = configured(apdb={"url": written(cassandra_apdb)}, redis={"url": valkey_url}, **PINNED)
    with open_services(settings) as sleeper, open_services(settings) as other:
        yield sleeper, other


def apdb_of(services: Services) -> CassandraApdb:
    assert isinstance(services.apdb, CassandraApdb)
    return services.apdb


def store(services: Services, visit: int) -> None:
    """Store a visit that finds the same objects again."""
    processed_from(services, visit, batch(visit, RA, DEC))


@pytest.mark.rules("VersionIsChecked")
@pytest.mark.parametrize("sleeps_before", ["apply_requests", "write"])
def test_tiles_and_states_that_come_late_are_not_believed(
    two: Two, monkeypatch: pytest.MonkeyPatch, sleeps_before: str
) -> None:
    """Rules `TakerRaisesToo`, `VersionIsRaised` and `VersionIsChecked`."""
    sleeper, other = two
    assert isinstance(sleeper.cache, RedisCache)
    store(other, 1)
    cache = sleeper.cache
    owner = apdb_of(sleeper)._database.applier if sleeps_before == "apply_requests" else cache
    call = getattr(owner, sleeps_before)

    def late(*arguments: object) -> None:
        # Whoever comes next applies the sleeper's plan in its place, and raises the versions twice.
        store(other, 3)
        call(*arguments)

    monkeypatch.setattr(owner, sleeps_before, late)
    store(sleeper, 2)
    tiles = other.apdb.known_tiles()
    with apdb_of(other).reading() as reader:
        versions = reader.read_snapshot([], tiles).tile_versions
    cached = cache.peek_tiles(tiles)
    assert (cached.versions < versions[np.isin(tiles, cached.objects.tiles)]).any()
    assert_current(other, cache)


@pytest.mark.rules("VersionAfterRows")
def test_a_tile_of_half_a_batch_is_not_believed(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed_when_there_is("DiaSource", two, monkeypatch)


@pytest.mark.parametrize("table", [OBJECT, "DiaObjectLast"])
def test_a_state_of_half_a_batch_is_not_believed(two: Two, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    warmed_when_there_is(table, two, monkeypatch)


def warmed_when_there_is(table: str, two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm a cache when of a batch's rows those of one table are there; check it when all are."""
    sleeper, other = two
    store(other, 1)
    applier, planned, cache = apdb_of(sleeper)._database.applier, list[Request](), MemoryCache(other.layout)
    requests, apply_requests = applier.requests, applier.apply_requests
    warmer = Warmer(apdb_of(other), cache, other.calculator, other.partition, None)

    def planning(changes: Sequence[Change], timestamp: int) -> list[Request]:
        planned.extend(requests([change for change in changes if change.table == table], timestamp))
        return requests(changes, timestamp)

    def late(*arguments: Any) -> None:
        applier.write(planned)
        list(warmer.warm(other.apdb.known_tiles()))
        apply_requests(*arguments)

    monkeypatch.setattr(applier, "requests", planning)
    monkeypatch.setattr(applier, "apply_requests", late)
    store(sleeper, 2)
    assert_current(other, cache)


@pytest.mark.rules("VersionReadBefore")
def test_a_tile_that_was_read_before_a_batch_is_not_believed_after_it(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper, other = two
    store(other, 1)
    cache, load_tiles = MemoryCache(other.layout), UnlockedReader.load_tiles
    warmer = Warmer(apdb_of(other), cache, other.calculator, other.partition, None)

    def and_sleep(reader: UnlockedReader, tiles: IntArray) -> TiledObjects:
        loaded = load_tiles(reader, tiles)
        store(sleeper, 2)
        return loaded

    with monkeypatch.context() as patch:
        patch.setattr(UnlockedReader, "load_tiles", and_sleep)
        list(warmer.warm(other.apdb.known_tiles()))
    assert_current(other, cache)


def assert_current(services: Services, cache: ObjectCache) -> None:
    """Check that what is believed of a cache is what the APDB holds."""
    assert sky_in(replace(services, cache=cache)) == sky_in(replace(services, cache=MemoryCache(services.layout)))
