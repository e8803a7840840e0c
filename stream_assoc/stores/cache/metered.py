"""A cache that counts its hits and misses."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates, CachedTiles, ObjectCache

CountReads: TypeAlias = Callable[[str, int, int], None]
"""Called after a read with the kind (``tile`` or ``state``), the number found, and the number missing, which will be
rebuilt from the APDB."""


class Sky(Protocol):
    """A part of the sky."""

    def has_tiles(self, tiles: IntArray) -> BoolArray:
        """Tell which of these tiles are in it."""

    def has_cells(self, cells: IntArray) -> BoolArray:
        """Tell which of these cells are in it, at least in part."""


class MeteredCache:
    """An `~stream_assoc.pipeline.ports.cache.ObjectCache` that reports its hits and misses.

    Parameters
    ----------
    beneath : `ObjectCache`
        The cache to read and write.
    count : `CountReads`
        Counts every read.
    within : `tuple` [`Sky`, `CountReads`], optional
        A part of the sky, such as what was announced, and what counts the reads there once more.
    """

    def __init__(self, beneath: ObjectCache, count: CountReads, within: tuple[Sky, CountReads] | None = None) -> None:
        self._beneath = beneath
        self._count = count
        self._within = within

    def read_tiles(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """See `ObjectCache.read_tiles`."""
        found = self._beneath.read_tiles(tiles, versions)
        self._count("tile", len(found.tiles), len(tiles) - len(found.tiles))
        if self._within is not None:
            sky, count = self._within
            hits = int(np.count_nonzero(sky.has_tiles(found.tiles)))
            count("tile", hits, int(np.count_nonzero(sky.has_tiles(tiles))) - hits)
        return found

    def read_states(self, diaObjectId: IntArray, cells: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """See `ObjectCache.read_states`."""
        cached = self._beneath.read_states(diaObjectId, cells, validityStartMjdTai)
        self._count("state", len(cached.found), len(diaObjectId) - len(cached.found))
        if self._within is not None:
            sky, count = self._within
            is_within = sky.has_cells(cells)
            hits = int(np.count_nonzero(is_within[cached.found]))
            count("state", hits, int(np.count_nonzero(is_within)) - hits)
        return cached

    def write(self, tiles: CachedTiles, states: ObjectStates, cells: IntArray) -> None:
        """See `ObjectCache.write`."""
        self._beneath.write(tiles, states, cells)

    def close(self) -> None:
        """Release every connection."""
        self._beneath.close()
