"""A cache that counts its hits and misses."""

from collections.abc import Callable

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates, CachedTiles, ObjectCache


class MeteredCache:
    """An `~stream_assoc.pipeline.ports.cache.ObjectCache` that reports its hits and misses.

    Parameters
    ----------
    beneath : `ObjectCache`
        The cache to read and write.
    count : callable
        Called after each read with the kind (``tile`` or ``state``), the number
        found, and the number missing, which will be rebuilt from the APDB.
    """

    def __init__(self, beneath: ObjectCache, count: Callable[[str, int, int], None]) -> None:
        self._beneath = beneath
        self._count = count

    def read_tiles(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """See `ObjectCache.read_tiles`."""
        found = self._beneath.read_tiles(tiles, versions)
        self._count("tile", len(found.tiles), len(tiles) - len(found.tiles))
        return found

    def read_states(self, diaObjectId: IntArray, cells: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """See `ObjectCache.read_states`."""
        cached = self._beneath.read_states(diaObjectId, cells, validityStartMjdTai)
        self._count("state", len(cached.found), len(diaObjectId) - len(cached.found))
        return cached

    def write(self, tiles: CachedTiles, states: ObjectStates, cells: IntArray) -> None:
        """See `ObjectCache.write`."""
        self._beneath.write(tiles, states, cells)

    def close(self) -> None:
        """Release every connection."""
        self._beneath.close()
