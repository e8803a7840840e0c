import numpy as np

from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.stores.cache.metered import MeteredCache
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, assert_same, cells_of, states, tile


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
