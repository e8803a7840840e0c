"""What the pipeline asks of a cache of DIAObjects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.states import ObjectStates
from stream_assoc.model.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class CachedTile:
    """One tile as cached: its objects, ascending by diaObjectId, and its version."""

    version: int
    positions: ObjectPositions


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


class ObjectCache(Protocol):
    """Tiles of positions and states of objects, each read and written whole.

    Nothing here needs to be atomic or durable: a tile or a state that is
    missing, unreadable, partly written or of another version is simply not
    returned, and the caller rebuilds it.
    """

    def read_tiles(self, tiles: IntArray, versions: IntArray) -> dict[int, ObjectPositions]:
        """Return those tiles that are cached with exactly the given version."""

    def read_states(self, diaObjectId: IntArray, cells: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """Return those states that are cached for exactly the given object version.

        ``cells`` holds the coarse cell of each object's position, the shard
        its key lives on.
        """

    def write(self, tiles: Mapping[int, CachedTile], states: ObjectStates, cells: IntArray) -> None:
        """Store these tiles, and these states under their cells, in few round trips.

        Raises
        ------
        CacheUnavailableError
            If the cache cannot be reached. The caller may go on: what was not
            written is out of date by its version, so it will be rebuilt.
        """

    def close(self) -> None:
        """Release every connection."""


class InspectableCache(ObjectCache, Protocol):
    """A cache that also tells what it holds and should not: for its maintenance, never for a batch.

    Attributes
    ----------
    unreadable : `int`
        Blobs found damaged or foreign so far by the methods that read.
    """

    unreadable: int

    def peek_tiles(self, tiles: IntArray) -> dict[int, CachedTile]:
        """Return those tiles that are cached, at whatever version."""

    def peek_state_versions(self, diaObjectId: IntArray, cells: IntArray) -> FloatArray:
        """Return the validityStartMjdTai of each cached state, NaN for one that is absent or unreadable.

        Unreadable states are not counted: `read_states` has counted them.
        """
