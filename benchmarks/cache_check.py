"""A small survey played through the product's cache into a real Valkey, beside the simulation of the same."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import redis

from benchmarks.cache_size import FIRST_TILE, states_with, tiles_with
from benchmarks.cadences import RUBIN, visits_of
from benchmarks.eviction import Accesses, Policy, found_by_samples, lru_distances
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from stream_assoc.wiring.pipeline import layout_of
from tests.configured import configured

CADENCE = replace(RUBIN, n_fields=100, nightly=24, block=6, deep_fields=2, deep_visits=5)
NIGHTS, WARM_UP_NIGHTS = 24, 8
TILES_A_FIELD, OBJECTS_A_TILE = 20, 20
STATES_A_FIELD = 100
SEEN = 0.5
SHARES = (0.3, 0.5)
POLICIES = {"allkeys-lru": (Policy.LRU, 1), "allkeys-lfu": (Policy.LFU, 1), "allkeys-random": (Policy.RANDOM, 1)}


@dataclass(frozen=True, slots=True)
class Played:
    """What was asked for, when by the real clock, and whether it was there."""

    item: IntArray
    second: IntArray
    found: BoolArray
    night: IntArray
    is_tile: BoolArray


class Player:
    """Asks the cache for the entries of visits, and writes them, as the daemon does.

    Items are the tiles of all fields, then the states of all fields.
    """

    def __init__(self, cache: RedisCache) -> None:
        self._cache = cache
        n_tiles = CADENCE.n_fields * TILES_A_FIELD
        self._tiles = tiles_with(OBJECTS_A_TILE, n_tiles)
        self._states = states_with(configured(), 6, 20, CADENCE.n_fields * STATES_A_FIELD)
        self._cells = np.full(len(self._states), FIRST_TILE >> 4, np.int64)

    def fill_with_tiles(self) -> None:
        """Write every tile."""
        self._cache.write(self._tiles, self._states.take(np.empty(0, np.int64)), self._cells[:0])

    def fill_with_states(self) -> None:
        """Write every state."""
        self._cache.write(CachedTiles.none(), self._states, self._cells)

    def play(self) -> Played:
        """Go through all nights."""
        generator = np.random.default_rng(3)
        visits = visits_of(CADENCE, NIGHTS)
        nights = (visits.second // 86_400).tolist()
        parts = []
        for field, night in zip(visits.field.tolist(), nights, strict=True):
            tiles = field * TILES_A_FIELD + np.arange(TILES_A_FIELD)
            states = field * STATES_A_FIELD + np.flatnonzero(generator.random(STATES_A_FIELD) < SEEN)
            found = np.concatenate(self._visit(tiles, states))
            item = np.concatenate([tiles, len(self._tiles) + states])
            n = len(item)
            second = np.full(n, int(time.time()))
            parts.append(Played(item, second, found, np.full(n, night), item < len(self._tiles)))
        return Played(*(np.concatenate([getattr(one, name) for one in parts]) for name in Played.__slots__))

    def _visit(self, tiles: IntArray, states: IntArray) -> tuple[BoolArray, BoolArray]:
        of_field = self._tiles.take(tiles)
        known = self._cache.read_tiles(of_field.objects.tiles, of_field.versions)
        asked: ObjectStates = self._states.take(states)
        cached = self._cache.read_states(asked.diaObjectId, self._cells[states], asked.validityStartMjdTai)
        self._cache.write(of_field, asked, self._cells[states])
        has = np.zeros(len(states), np.bool_)
        has[cached.found] = True
        return np.isin(of_field.objects.tiles, known.tiles), has


def compared() -> Iterator[str]:
    """Yield the rows of a table: what a real Valkey found, and what the simulation of it and of exact LRU say."""
    yield "| maxmemory | policy | Valkey | simulated | exact LRU |\n|---|---|---|---|---|"
    for share in SHARES:
        for policy in POLICIES:
            yield _row(share, policy)


def _row(share: float, policy: str) -> str:
    settings = configured()
    with EmbeddedValkey() as valkey, closing(redis.Redis.from_url(valkey.url)) as client:
        cache = RedisCache(
            valkey.url,
            layout_of(settings),
            tile_level=settings.sky.tile_level,
            cell_level=settings.sky.cell_level,
            secret=b"secret",
        )
        with cache:
            player = Player(cache)
            used = [_used(client)]
            for fill in (player.fill_with_tiles, player.fill_with_states):
                fill()
                used.append(_used(client))
            tile_bytes, state_bytes = np.diff(used) / CADENCE.n_fields / (TILES_A_FIELD, STATES_A_FIELD)
            whole = used[2] - used[0]
            client.execute_command("FLUSHALL", "SYNC")
            client.config_set("maxmemory-policy", policy)
            client.config_set("maxmemory", used[0] + int(share * whole))
            played = player.play()
    sizes = np.repeat([tile_bytes, state_bytes], np.multiply(CADENCE.n_fields, [TILES_A_FIELD, STATES_A_FIELD]))
    accesses = Accesses(played.item, played.second, sizes)
    counts = played.night >= WARM_UP_NIGHTS
    simulated = found_by_samples(accesses, share * whole, *POLICIES[policy])
    exact = lru_distances(accesses) <= share * whole
    rates = [
        " / ".join(f"{100.0 * found[counts & kind].mean():.0f}" for kind in (played.is_tile, ~played.is_tile)) + " %"
        for found in (played.found, simulated, exact)
    ]
    return f"| {share:.0%} | {policy} | {' | '.join(rates)} |"


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
