"""Regions, and the pieces that work is done in."""

import numpy as np
import pytest

from stream_assoc.core.sky.htm import htm_index
from stream_assoc.pipeline.region import SkyPartition
from stream_assoc.tools.maintenance.stores import UnknownTileError, piecewise


def test_pieces_are_of_one_cell_and_together_everything() -> None:
    partition = SkyPartition(tile_level=10, cell_level=5)
    tiles = np.arange(9 << 20, (9 << 20) + 3000, 2)
    pieces = list(piecewise(tiles, partition))
    assert np.concatenate(pieces).tolist() == tiles.tolist()
    assert all(len(np.unique(partition.cells(piece))) == 1 for piece in pieces)
    assert max(map(len, pieces)) < 100


def test_no_tiles_are_no_pieces() -> None:
    assert list(piecewise(np.empty(0, np.int64), SkyPartition())) == []


def test_a_circle_has_the_tiles_it_touches(stores) -> None:
    tiles = stores.tiles_around(359.99, -30.0, 0.1)
    assert set(htm_index([359.99, 0.05, 359.99], [-30.0, -30.0, -29.91], 10)) <= set(tiles.tolist())
    assert tiles.tolist() == sorted(set(tiles.tolist()))


def test_named_tiles_are_sorted_once_each(stores) -> None:
    first = 8 << 20
    assert stores.tiles_named([first + 5, first, first + 5]).tolist() == [first, first + 5]


@pytest.mark.parametrize("index", [0, -1, (8 << 20) - 1, 16 << 20, 2**70])
def test_a_tile_of_another_level_is_refused(stores, index: int) -> None:
    with pytest.raises(UnknownTileError, match=r"sky\.tile_level 10"):
        stores.tiles_named([8 << 20, index])
