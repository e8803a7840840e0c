import numpy as np

from stream_assoc.core.model.states import ObjectStates
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.stores.cache.metered import MeteredCache
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, assert_same, cells_of, states, tile, together


def test_hits_and_misses_are_counted_and_answers_passed_on() -> None:
    beneath = MemoryCache(LAYOUT)
    counts = []
    cache = MeteredCache(beneath, lambda *count: counts.append(count))
    known, unknown = states(3), states(2, first_id=1000)
    cache.write(tile(4, version=7), known, cells_of(known))

    found = cache.read_tiles(np.array([FIRST_TILE, FIRST_TILE + 1, FIRST_TILE + 2]), np.array([7, 7, 7]))
    assert found.tiles.tolist() == [FIRST_TILE]
    for some in (known, unknown):
        cached = cache.read_states(some.diaObjectId, cells_of(some), some.validityStartMjdTai)
        assert_same(
            cached.states, beneath.read_states(some.diaObjectId, cells_of(some), some.validityStartMjdTai).states
        )
    # Cached, but of another version: it is rebuilt all the same.
    assert not len(cache.read_tiles(np.array([FIRST_TILE]), np.array([8])).tiles)

    assert counts == [("tile", 1, 2), ("state", 3, 0), ("state", 0, 2), ("tile", 0, 1)]


def test_reads_of_a_part_of_the_sky_are_counted_once_more() -> None:
    class Sky:
        def has_tiles(self, tiles):
            return tiles > FIRST_TILE

        def has_cells(self, cells):
            return np.arange(len(cells)) > 0

    beneath = MemoryCache(LAYOUT)
    everywhere, there = [], []
    cache = MeteredCache(
        beneath, lambda *count: everywhere.append(count), (Sky(), lambda *count: there.append(count))
    )
    known = states(3)
    cache.write(together(tile(4, version=7), tile(2, FIRST_TILE + 1, version=7)), known, cells_of(known))

    cache.read_tiles(np.arange(FIRST_TILE, FIRST_TILE + 4), np.full(4, 7))
    both = ObjectStates.concatenate([known, states(2, first_id=1000)])
    cache.read_states(both.diaObjectId, cells_of(both), both.validityStartMjdTai)

    assert everywhere == [("tile", 2, 2), ("state", 3, 2)]
    assert there == [("tile", 1, 2), ("state", 2, 2)]
