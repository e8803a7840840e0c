"""Ways to make a cache wrong so that nothing but a comparison can tell."""

from dataclasses import replace

import numpy as np

from stream_assoc.cache.port import CachedTile
from stream_assoc.maintenance.stores import Stores, holding
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.states import ObjectStates

Held = tuple[CachedTile, ObjectStates, int]


def fullest_tile(stores: Stores) -> int:
    """Return the tile with the most objects."""
    tiles = stores.apdb.known_tiles()
    with stores.apdb.exclusive(stores.partition.cells(tiles)) as session:
        loaded = session.load_tiles(tiles)
    return max(loaded, key=lambda tile: len(loaded[tile]))


def true_content(stores: Stores, tile: int) -> Held:
    """Return a tile, the states of its objects, and its cell, all from the APDB."""
    with holding(stores, np.array([tile])) as piece:
        content = piece.tiles[tile]
        return content, stores.rebuilt(piece.session, content.positions), piece.cell


def change_tile(stores: Stores, tile: int, **columns: object) -> None:
    """Cache a tile at its current version with some columns replaced."""
    content, _, _ = true_content(stores, tile)
    stores.write_tiles({tile: replace(content, positions=replace(content.positions, **columns))})


def shorten_tile(stores: Stores, tile: int) -> None:
    """Cache a tile at its current version without its first object."""
    content, _, _ = true_content(stores, tile)
    rest: ObjectPositions = content.positions.take(np.arange(1, len(content.positions)))
    stores.write_tiles({tile: replace(content, positions=rest)})


def change_states(stores: Stores, tile: int, rows: np.ndarray, **columns: object) -> ObjectStates:
    """Cache some states of a tile at their current version with some columns replaced; return the true ones."""
    _, states, cell = true_content(stores, tile)
    chosen = states.take(rows)
    stores.write_states(replace(chosen, **columns), cell)
    return chosen
