import dataclasses
import weakref

import numpy as np
import pytest

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.pipeline.staging import StagedCache
from stream_assoc.stores.cache.memory import MemoryCache
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, assert_same, cells_of, positions, states, tile, together
from tests.tiles import tiled

NO_CELLS = np.empty(0, np.int64)
NONE = LAYOUT.empty_states()


class CountingCache(MemoryCache):
    """Notes which tiles it was asked for."""

    def __init__(self, layout) -> None:
        super().__init__(layout)
        self.asked: list[int] = []

    def read_tiles(self, tiles, versions):
        self.asked += tiles.tolist()
        return super().read_tiles(tiles, versions)


@pytest.fixture
def beneath():
    return CountingCache(LAYOUT)


@pytest.fixture
def staged(beneath):
    return StagedCache(beneath, LAYOUT)


def read_tile(cache, version=1):
    return cache.read_tiles(np.array([FIRST_TILE]), np.array([version])).split().get(FIRST_TILE)


def read_states(cache, some):
    return cache.read_states(some.diaObjectId, cells_of(some), some.validityStartMjdTai)


def newer(some, seed):
    later = states(len(some), first_id=int(some.diaObjectId[0]), seed=seed)
    return dataclasses.replace(later, validityStartMjdTai=some.validityStartMjdTai + 1)


def test_a_changed_tile_is_current_whatever_version_is_asked_for(staged, beneath) -> None:
    staged.stage(tiled({FIRST_TILE: positions(2)}), NONE, NO_CELLS)
    for version in (0, 1, 9):
        assert_same(read_tile(staged, version), positions(2))
    assert beneath.asked == []


def test_nothing_reaches_the_cache_before_the_flush(staged, beneath) -> None:
    some = states(3)
    staged.stage(tiled({FIRST_TILE: positions(2)}), some, cells_of(some))
    staged.write(tile(2, FIRST_TILE + 1), NONE, NO_CELLS)
    assert (beneath.tiles, beneath.states) == ({}, {})


def test_a_flush_writes_changed_tiles_with_the_versions_of_the_commit(staged, beneath) -> None:
    some = states(3)
    staged.stage(tiled({FIRST_TILE: positions(2)}), some, cells_of(some))
    staged.flush({FIRST_TILE: 7})
    assert_same(read_tile(beneath, 7), positions(2))
    assert_same(read_states(beneath, some).states, some)


def test_a_changed_tile_without_a_version_is_not_written(staged, beneath) -> None:
    staged.stage(tiled({FIRST_TILE: positions(2)}), NONE, NO_CELLS)
    staged.flush({})
    assert beneath.tiles == {}


def test_a_rebuilt_tile_is_written_with_its_own_version(staged, beneath) -> None:
    staged.write(tile(3, version=4), NONE, NO_CELLS)
    assert_same(read_tile(staged, 4), positions(3))
    assert read_tile(staged, 5) is None
    staged.flush({})
    assert_same(read_tile(beneath, 4), positions(3))


def test_a_rebuilt_tile_that_the_commit_outdated_is_not_written(staged, beneath) -> None:
    """Its content is older than the version the commit gave it."""
    staged.write(tile(3, version=4), NONE, NO_CELLS)
    staged.flush({FIRST_TILE: 5})
    assert beneath.tiles == {}


def test_a_change_replaces_what_was_rebuilt_and_is_not_replaced_by_it(staged, beneath) -> None:
    staged.write(tile(3, version=4), NONE, NO_CELLS)
    staged.stage(tiled({FIRST_TILE: positions(5)}), NONE, NO_CELLS)
    staged.write(tile(3, version=4), NONE, NO_CELLS)
    assert len(read_tile(staged, 4)) == 5
    staged.flush({FIRST_TILE: 5})
    assert len(read_tile(beneath, 5)) == 5


def test_a_tile_is_read_from_beneath_only_once(staged, beneath) -> None:
    beneath.write(tile(3), NONE, NO_CELLS)
    assert_same(read_tile(staged), positions(3))
    assert_same(read_tile(staged), positions(3))
    assert beneath.asked == [FIRST_TILE]
    assert read_tile(staged, version=2) is None


def test_a_tile_only_read_is_not_written(staged, beneath) -> None:
    beneath.write(tile(3), NONE, NO_CELLS)
    read_tile(staged)
    beneath.flush()
    staged.flush({})
    assert beneath.tiles == {}


def test_staged_and_cached_states_come_in_the_order_asked(staged, beneath) -> None:
    some = states(9)
    odd, even = np.arange(1, 9, 2), np.arange(0, 8, 2)
    beneath.write(CachedTiles.none(), some.take(even), cells_of(some.take(even)))
    staged.stage(TiledObjects.empty(), some.take(odd), cells_of(some.take(odd)))
    found = read_states(staged, some)
    assert found.found.tolist() == list(range(8))
    assert_same(found.states, some.take(np.arange(8)))


def test_a_state_only_beneath_keeps_its_place(staged, beneath) -> None:
    some = states(4)
    last = some.take(np.array([3]))
    beneath.write(CachedTiles.none(), last, cells_of(last))
    found = read_states(staged, some)
    assert found.found.tolist() == [3]
    assert_same(found.states, last)


def test_the_last_state_of_an_object_counts(staged, beneath) -> None:
    first = states(3)
    last = newer(first, seed=5)
    staged.stage(TiledObjects.empty(), first, cells_of(first))
    staged.stage(TiledObjects.empty(), last, cells_of(last))
    assert_same(read_states(staged, last).states, last)
    assert read_states(staged, first).found.tolist() == []
    staged.flush({})
    assert_same(read_states(beneath, last).states, last)


def test_after_a_flush_or_a_discard_nothing_is_left(staged, beneath) -> None:
    some = states(2)
    staged.stage(tiled({FIRST_TILE: positions(2)}), some, cells_of(some))
    staged.discard()
    staged.flush({FIRST_TILE: 3})
    assert (beneath.tiles, beneath.states) == ({}, {})
    staged.stage(tiled({FIRST_TILE: positions(2)}), some, cells_of(some))
    staged.flush({FIRST_TILE: 3})
    beneath.flush()
    assert read_tile(staged, 3) is None
    assert read_states(staged, some).found.tolist() == []


def test_rebuilt_states_are_written_too(staged, beneath) -> None:
    some = states(2)
    staged.write(tile(2), some, cells_of(some))
    staged.flush({})
    assert_same(read_states(beneath, some).states, some)


def test_the_last_content_of_each_tile_counts(staged, beneath) -> None:
    tiles = np.arange(FIRST_TILE, FIRST_TILE + 3)
    beneath.write(together(*(tile(4, index, version=1) for index in tiles)), NONE, NO_CELLS)
    staged.read_tiles(tiles, np.ones(3, np.int64))
    staged.stage(tiled({FIRST_TILE: positions(1), FIRST_TILE + 2: positions(2)}), NONE, NO_CELLS)
    staged.stage(tiled({FIRST_TILE + 2: positions(3)}), NONE, NO_CELLS)
    found = staged.read_tiles(tiles, np.ones(3, np.int64))
    assert {index: len(held) for index, held in found.split().items()} == dict(zip(tiles, (1, 4, 3), strict=True))
    staged.flush({FIRST_TILE: 2, FIRST_TILE + 2: 2})
    assert beneath.peek_tiles(tiles).versions.tolist() == [2, 1, 2]
    assert np.diff(beneath.peek_tiles(tiles).objects.offsets).tolist() == [1, 4, 3]


def test_a_content_that_nobody_wants_any_more_is_let_go(staged) -> None:
    """Or the large visits of a backlog would stay in memory until the last is stored."""
    first = tiled({FIRST_TILE: positions(5)})
    lives = weakref.ref(first.positions.ra)
    staged.stage(first, NONE, NO_CELLS)
    del first
    assert lives() is not None
    staged.stage(tiled({FIRST_TILE: positions(6)}), NONE, NO_CELLS)
    assert lives() is None
