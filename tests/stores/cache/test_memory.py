import pytest

from stream_assoc.stores.cache.memory import MemoryCache
from tests.stores.cache.builders import LAYOUT
from tests.stores.cache.conformance import CacheConformance


class TestMemoryCache(CacheConformance):
    @pytest.fixture
    def cache(self):
        return MemoryCache(LAYOUT)

    def tile_blob(self, cache, index):
        return cache.tiles[index]

    def put_tile_blob(self, cache, index, blob) -> None:
        cache.tiles[index] = blob

    def state_blob(self, cache, key, cell):
        return cache.states[key]

    def put_state_blob(self, cache, key, cell, blob) -> None:
        cache.states[key] = blob

    def flush(self, cache) -> None:
        cache.flush()
