"""Ways to make a cache wrong so that nothing but a comparison can tell."""

from dataclasses import replace
from typing import Any

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.tools.maintenance.stores import Stores, holding
from tests.tiles import tiled

Held = tuple[ObjectPositions, ObjectStates, int]


def fullest_tile(stores: Stores) -> int:
    """Return the tile with the most objects."""
    tiles = stores.apdb.known_tiles()
    with stores.apdb.exclusive(stores.partition.cells(tiles)) as session:
        loaded = session.load_tiles(tiles)
    return int(loaded.tiles[np.argmax(np.diff(loaded.offsets))])


def true_content(stores: Stores, tile: int) -> Held:
    """Return a tile, the states of its objects, and its cell, all from the APDB."""
    with holding(stores, np.array([tile])) as piece:
        positions = piece.tiles.objects.positions
        return positions, stores.rebuilt(piece.session, positions), piece.cell


def change_tile(stores: Stores, tile: int, **columns: Any) -> None:
    """Cache a tile at its current version with some columns replaced."""
    positions, _, _ = true_content(stores, tile)
    put_tile(stores, tile, replace(positions, **columns))


def shorten_tile(stores: Stores, tile: int) -> None:
    """Cache a tile at its current version without its first object."""
    positions, _, _ = true_content(stores, tile)
    put_tile(stores, tile, positions.rows(1, len(positions)))


def put_tile(stores: Stores, tile: int, positions: ObjectPositions) -> None:
    """Cache this as the current version of a tile."""
    with holding(stores, np.array([tile])) as piece:
        stores.write_tiles(replace(piece.tiles, objects=tiled({tile: positions})))


def change_states(stores: Stores, tile: int, rows: np.ndarray, **columns: Any) -> ObjectStates:
    """Cache some states of a tile at their current version with some columns replaced; return the true ones."""
    _, states, cell = true_content(stores, tile)
    chosen = states.take(rows)
    stores.write_states(replace(chosen, **columns), cell)
    return chosen
