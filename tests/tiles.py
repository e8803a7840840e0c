"""Tiles made of what is in them."""

from collections.abc import Mapping

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions, TiledObjects


def tiled(by_tile: Mapping[int, ObjectPositions]) -> TiledObjects:
    """Return tiles of these contents, by HTM index."""
    tiles = sorted(by_tile)
    parts = [by_tile[tile] for tile in tiles]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return TiledObjects(np.array(tiles, np.int64), offsets, ObjectPositions.concatenate(parts))
