"""What the pipeline asks of a cache of DIAObjects."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class CachedTiles:
    """Some tiles as cached.

    Attributes
    ----------
    objects : `TiledObjects`
        What is in them.
    versions : `numpy.ndarray` [int64], shape (n_tiles,)
        The version of each.
    """

    objects: TiledObjects
    versions: IntArray

    @classmethod
    def none(cls) -> "CachedTiles":
        """Return no tile."""
        return cls(TiledObjects.empty(), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.versions)

    def take(self, slots: IntArray) -> "CachedTiles":
        """Return the tiles in these places, which ascend."""
        return CachedTiles(self.objects.take_tiles(slots), self.versions[slots])


@dataclass(frozen=True, slots=True)
class CachedStates:
    """The states found in the cache, and which of those asked for they are.

    Attributes
    ----------
    found : `numpy.ndarray` [int64]
        Indices into the asked ids, ascending, of the states that are present
        and current.
    states : `ObjectStates`
        The states, in the order of ``found``.
    """

    found: IntArray
    states: ObjectStates


def of_version(cached: CachedTiles, tiles: IntArray, versions: IntArray) -> TiledObjects:
    """Return those of the cached tiles that have the version given for their tile; ``tiles`` ascend."""
    wanted = versions[np.searchsorted(tiles, cached.objects.tiles)]
    return cached.objects.take_tiles(np.flatnonzero(cached.versions == wanted))


class ObjectCache(Protocol):
    """Tiles of positions and states of objects, each read and written whole.

    Nothing here needs to be atomic or durable: a tile or a state that is
    missing, unreadable, partly written or of another version is simply not
    returned, and the caller rebuilds it.
    """

    def read_tiles(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """Return those tiles, of some that ascend, that are cached with exactly the given version."""

    def read_states(self, diaObjectId: IntArray, cells: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """Return those states that are cached for exactly the given object version.

        ``cells`` holds the coarse cell of each object's position, the shard
        its key lives on.
        """

    def write(self, tiles: CachedTiles, states: ObjectStates, cells: IntArray) -> None:
        """Store these tiles, and these states under their cells, in few round trips.

        Raises
        ------
        CacheUnavailableError
            If the cache cannot be reached. The caller may go on: what was not
            written is out of date by its version, so it will be rebuilt.
        """

    def close(self) -> None:
        """Release every connection."""


class WarmableCache(ObjectCache, Protocol):
    """A cache that also tells, at little cost, which versions it holds: for who fills it, never for a batch.

    What is told may be wrong, because no content is read with it and nothing
    is authenticated. Whoever reads the entry finds that out.
    """

    def tile_versions(self, tiles: IntArray) -> IntArray:
        """Return the version that each tile is cached with, -1 for one that is absent."""

    def state_versions(self, diaObjectId: IntArray, cells: IntArray) -> FloatArray:
        """Return the validityStartMjdTai that each state is cached with, NaN for one that is absent."""


class InspectableCache(WarmableCache, Protocol):
    """A cache that also tells what it holds and should not: for its maintenance, never for a batch.

    Attributes
    ----------
    unreadable : `int`
        Blobs found damaged or foreign so far by the methods that read.
    """

    unreadable: int

    def peek_tiles(self, tiles: IntArray) -> CachedTiles:
        """Return those tiles, of some that ascend, that are cached, at whatever version."""

    def peek_state_versions(self, diaObjectId: IntArray, cells: IntArray) -> FloatArray:
        """Return the validityStartMjdTai of each cached state, NaN for one that is absent or unreadable.

        Unreadable states are not counted: `read_states` has counted them.
        """
