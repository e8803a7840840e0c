"""What every cache adapter does, whatever it is made of."""

from abc import ABC, abstractmethod

import numpy as np
import pytest

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.pipeline.ports.cache import CachedTiles
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, assert_same, cells_of, positions, states, tile, together

NO_CELLS = np.empty(0, np.int64)


class CacheConformance(ABC):
    """Subclasses give a fixture ``cache`` and ways to reach the blobs behind it."""

    @abstractmethod
    def tile_blob(self, cache, index): ...

    @abstractmethod
    def put_tile_blob(self, cache, index, blob): ...

    @abstractmethod
    def state_blob(self, cache, key, cell): ...

    @abstractmethod
    def put_state_blob(self, cache, key, cell, blob): ...

    @abstractmethod
    def flush(self, cache): ...

    def write_tiles(self, cache, tiles) -> None:
        cache.write(tiles, LAYOUT.empty_states(), NO_CELLS)

    def read_tile(self, cache, index=FIRST_TILE, version=1):
        return cache.read_tiles(np.array([index]), np.array([version])).split().get(index)

    def write_states(self, cache, some) -> None:
        cache.write(CachedTiles.none(), some, cells_of(some))

    def read_all(self, cache, some):
        return cache.read_states(some.diaObjectId, cells_of(some), some.validityStartMjdTai)

    def test_nothing_is_found_in_an_empty_cache(self, cache) -> None:
        some = states(3)
        assert self.read_tile(cache) is None
        found = self.read_all(cache, some)
        assert found.found.tolist() == []
        assert_same(found.states, LAYOUT.empty_states())
        assert cache.unreadable == 0

    def test_asking_for_nothing_gives_nothing(self, cache) -> None:
        none = LAYOUT.empty_states()
        assert_same(cache.read_tiles(NO_CELLS, NO_CELLS), TiledObjects.empty())
        assert self.read_all(cache, none).found.tolist() == []
        cache.write(CachedTiles.none(), none, NO_CELLS)

    def test_tiles_come_back_bit_by_bit(self, cache) -> None:
        tiles = together(*(tile(k * 3, FIRST_TILE + k, version=k + 1, seed=k) for k in range(5)))
        self.write_tiles(cache, tiles)
        assert_same(cache.read_tiles(tiles.objects.tiles, np.arange(1, 6)), tiles.objects)

    def test_an_empty_tile_is_present(self, cache) -> None:
        self.write_tiles(cache, tile(0))
        assert len(self.read_tile(cache)) == 0

    @pytest.mark.parametrize("version", [0, 2, 3, 2**62])
    def test_a_tile_of_another_version_is_missing(self, cache, version: int) -> None:
        self.write_tiles(cache, tile(4, version=1))
        assert self.read_tile(cache, version=version) is None
        assert cache.unreadable == 0

    def test_peeking_finds_tiles_of_any_version(self, cache) -> None:
        self.write_tiles(cache, together(tile(4, version=7), tile(0, FIRST_TILE + 1, version=0)))
        self.put_tile_blob(cache, FIRST_TILE + 2, b"rubbish")
        found = cache.peek_tiles(np.arange(FIRST_TILE, FIRST_TILE + 4))
        assert found.objects.tiles.tolist() == [FIRST_TILE, FIRST_TILE + 1]
        assert found.versions.tolist() == [7, 0]
        assert_same(found.objects.split()[FIRST_TILE], positions(4))
        assert cache.unreadable == 1

    def test_peeking_finds_versions_of_states(self, cache) -> None:
        some = states(4)
        self.write_states(cache, some.take(np.array([0, 1, 3])))
        self.put_state_blob(cache, int(some.diaObjectId[1]), int(cells_of(some)[1]), b"rubbish")
        found = cache.peek_state_versions(some.diaObjectId, cells_of(some))
        np.testing.assert_array_equal(found[[0, 3]], some.validityStartMjdTai[[0, 3]])
        assert np.isnan(found[[1, 2]]).all()
        assert cache.peek_state_versions(some.diaObjectId[:0], NO_CELLS).tolist() == []
        assert cache.unreadable == 0

    def test_versions_of_tiles_are_told_without_content(self, cache) -> None:
        self.write_tiles(cache, together(tile(4, version=7), tile(0, FIRST_TILE + 1, version=0)))
        self.put_tile_blob(cache, FIRST_TILE + 2, b"rubbish")
        # Of another tile, under this one's key.
        self.put_tile_blob(cache, FIRST_TILE + 3, bytes(self.tile_blob(cache, FIRST_TILE)))
        asked = np.arange(FIRST_TILE, FIRST_TILE + 5)
        assert cache.tile_versions(asked).tolist() == [7, 0, -1, -1, -1]
        assert cache.tile_versions(NO_CELLS).tolist() == []
        assert cache.unreadable == 0

    def test_versions_of_states_are_told_without_content(self, cache) -> None:
        some, cells = states(5), cells_of(states(5))
        self.write_states(cache, some.take(np.array([0, 1, 3])))
        first, second, *_, last = zip(some.diaObjectId.tolist(), cells.tolist(), strict=True)
        self.put_state_blob(cache, *second, b"rubbish")
        self.put_state_blob(cache, *last, bytes(self.state_blob(cache, *first)))
        found = cache.state_versions(some.diaObjectId, cells)
        np.testing.assert_array_equal(found[[0, 3]], some.validityStartMjdTai[[0, 3]])
        assert np.isnan(found[[1, 2, 4]]).all()
        assert cache.state_versions(some.diaObjectId[:0], NO_CELLS).tolist() == []
        assert cache.unreadable == 0

    def test_a_later_write_replaces_a_tile(self, cache) -> None:
        self.write_tiles(cache, tile(4, version=1))
        self.write_tiles(cache, tile(2, version=2, seed=9))
        assert self.read_tile(cache, version=1) is None
        assert_same(self.read_tile(cache, version=2), positions(2, seed=9))

    def test_states_come_back_bit_by_bit_in_the_order_asked(self, cache) -> None:
        some = states(20)
        self.write_states(cache, some)
        order = np.random.default_rng(4).permutation(20)
        asked = some.take(order)
        found = self.read_all(cache, asked)
        assert found.found.tolist() == list(range(20))
        assert_same(found.states, asked)

    def test_absent_states_are_left_out(self, cache) -> None:
        some = states(10)
        self.write_states(cache, some.take(np.array([1, 4, 9])))
        found = self.read_all(cache, some)
        assert found.found.tolist() == [1, 4, 9]
        assert_same(found.states, some.take(found.found))

    def test_a_state_of_another_version_is_missing(self, cache) -> None:
        some = states(4)
        self.write_states(cache, some)
        validity = some.validityStartMjdTai.copy()
        validity[2] = np.nextafter(validity[2], np.inf)
        found = cache.read_states(some.diaObjectId, cells_of(some), validity)
        assert found.found.tolist() == [0, 1, 3]
        assert cache.unreadable == 0

    def test_neighbouring_large_ids_are_told_apart(self, cache) -> None:
        some = states(4, first_id=2**62 + 1)
        self.write_states(cache, some)
        assert_same(self.read_all(cache, some).states, some)
        absent = cache.read_states(some.diaObjectId + 4, cells_of(some), some.validityStartMjdTai)
        assert absent.found.tolist() == []

    @pytest.mark.parametrize(
        "damage", [lambda b: b[:-8], lambda b: b[:-1], lambda b: b"", lambda b: b"hello", lambda b: b + bytes(8)]
    )
    def test_a_damaged_blob_is_missing_and_counted(self, cache, damage) -> None:
        some = states(3)
        key, cell = int(some.diaObjectId[1]), int(cells_of(some)[1])
        cache.write(tile(3), some, cells_of(some))
        self.put_tile_blob(cache, FIRST_TILE, damage(self.tile_blob(cache, FIRST_TILE)))
        self.put_state_blob(cache, key, cell, damage(self.state_blob(cache, key, cell)))
        assert self.read_tile(cache) is None
        assert self.read_all(cache, some).found.tolist() == [0, 2]
        assert cache.unreadable == 2

    def test_another_object_under_the_key_is_unreadable(self, cache) -> None:
        some = states(2)
        self.write_states(cache, some)
        ids, cells = some.diaObjectId.tolist(), cells_of(some).tolist()
        self.put_state_blob(cache, ids[0], cells[0], self.state_blob(cache, ids[1], cells[1]))
        assert self.read_all(cache, some).found.tolist() == [1]
        assert cache.unreadable == 1

    def test_another_tile_under_the_key_is_unreadable(self, cache) -> None:
        self.write_tiles(cache, tile(3))
        self.put_tile_blob(cache, FIRST_TILE + 1, self.tile_blob(cache, FIRST_TILE))
        assert self.read_tile(cache, FIRST_TILE + 1) is None
        assert cache.unreadable == 1

    def test_a_rewritten_blob_is_readable_again(self, cache) -> None:
        self.write_tiles(cache, tile(3))
        self.put_tile_blob(cache, FIRST_TILE, b"rubbish")
        assert self.read_tile(cache) is None
        self.write_tiles(cache, tile(3))
        assert_same(self.read_tile(cache), positions(3))

    def test_a_flushed_cache_has_forgotten(self, cache) -> None:
        some = states(3)
        cache.write(tile(3), some, cells_of(some))
        self.flush(cache)
        assert self.read_tile(cache) is None
        assert self.read_all(cache, some).found.tolist() == []
        assert cache.unreadable == 0

    def test_ten_thousand_states_and_a_thousand_tiles(self, cache) -> None:
        some = states(10_000)
        tiles = together(*(tile(k % 40, FIRST_TILE + k, seed=k) for k in range(1_000)))
        cache.write(tiles, some, cells_of(some))
        assert_same(self.read_all(cache, some).states, some)
        assert_same(cache.read_tiles(tiles.objects.tiles, tiles.versions), tiles.objects)

    def test_written_arrays_may_change_afterwards(self, cache) -> None:
        some = states(3)
        before = some.take(np.arange(3))
        self.write_states(cache, some)
        some.object_fields[:] = 7
        found = self.read_all(cache, before)
        assert_same(found.states, before)
        found.states.band_fields[:] = 7
        assert_same(self.read_all(cache, before).states, before)
