"""A cache inside the process: for a single daemon without Redis, and for tests."""

from typing import Final

import numpy as np

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.states import ObjectStates, StateLayout
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates, CachedTiles, of_version
from stream_assoc.stores.cache.packing import headers
from stream_assoc.stores.cache.packing.authentication import CacheKeys
from stream_assoc.stores.cache.packing.state_packing import pack_states, unpack_state_versions, unpack_states
from stream_assoc.stores.cache.packing.tile_packing import pack_tiles, unpack_tiles

_KEYS: Final = CacheKeys.random()
"""Of this process; no other reads its blobs."""


class MemoryCache:
    """An `~stream_assoc.pipeline.ports.cache.InspectableCache` in two dictionaries of blobs.

    It keeps the same blobs as Redis would, so the arrays that it returns share
    no memory with those written. It evicts nothing, and processes do not share it.

    Parameters
    ----------
    layout : `StateLayout`

    Attributes
    ----------
    unreadable : `int`
        Blobs found damaged or foreign so far.
    tiles, states : `dict` [`int`, `bytes`]
        The blobs by HTM index and by diaObjectId.
    """

    def __init__(self, layout: StateLayout) -> None:
        self._layout = layout
        self._keys = _KEYS
        self.unreadable = 0
        self.tiles: dict[int, bytes] = {}
        self.states: dict[int, bytes] = {}

    def read_tiles(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """Return those tiles that are cached with exactly the given version."""
        return of_version(self.peek_tiles(tiles), tiles, versions)

    def read_states(self, diaObjectId: IntArray, cells: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """Return those states that are cached for exactly the given object version.

        The cells play no part: there is one shard.
        """
        blobs = [self.states.get(key) for key in diaObjectId.tolist()]
        cached, n_unreadable = unpack_states(blobs, self._layout, diaObjectId, validityStartMjdTai, self._keys.states)
        self.unreadable += n_unreadable
        return cached

    def peek_tiles(self, tiles: IntArray) -> CachedTiles:
        """Return those tiles that are cached, at whatever version."""
        blobs = [self.tiles.get(tile) for tile in tiles.tolist()]
        cached, n_unreadable = unpack_tiles(blobs, tiles, self._keys.tiles)
        self.unreadable += n_unreadable
        return cached

    def peek_state_versions(self, diaObjectId: IntArray, cells: IntArray) -> FloatArray:
        """Return the validityStartMjdTai of each cached state, NaN for one that is absent or unreadable."""
        blobs = [self.states.get(key) for key in diaObjectId.tolist()]
        return unpack_state_versions(blobs, self._layout, diaObjectId, self._keys.states)

    def tile_versions(self, tiles: IntArray) -> IntArray:
        """Return the version that each tile is cached with, -1 for one that is absent."""
        return headers.tile_versions([self.tiles.get(tile) for tile in tiles.tolist()], tiles)

    def state_versions(self, diaObjectId: IntArray, cells: IntArray) -> FloatArray:
        """Return the validityStartMjdTai that each state is cached with, NaN for one that is absent."""
        return headers.state_versions([self.states.get(key) for key in diaObjectId.tolist()], diaObjectId)

    def write(self, tiles: CachedTiles, states: ObjectStates, cells: IntArray) -> None:
        """Store these tiles and these states; never fails."""
        packed = map(bytes, pack_tiles(tiles, self._keys.tiles))
        self.tiles.update(zip(tiles.objects.tiles.tolist(), packed, strict=True))
        blobs = pack_states(states, self._layout, self._keys.states)
        self.states.update(zip(np.asarray(states.diaObjectId).tolist(), map(bytes, blobs), strict=True))

    def flush(self) -> None:
        """Forget everything, as Redis does on FLUSHALL."""
        self.tiles.clear()
        self.states.clear()

    def close(self) -> None:
        """Do nothing: there is no connection."""
