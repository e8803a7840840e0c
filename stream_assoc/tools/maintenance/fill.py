"""Write tiles and states from the APDB to the cache: all of them, or those that it lacks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.cache import of_version
from stream_assoc.tools.maintenance.stores import Piece, Stores, holding, piecewise


@dataclass(frozen=True, slots=True)
class Filled:
    """How much one piece of work, or several together, has done.

    Attributes
    ----------
    tiles, states : `int`
        How many were checked.
    written_tiles, written_states : `int`
        How many of them were written.
    """

    tiles: int = 0
    states: int = 0
    written_tiles: int = 0
    written_states: int = 0

    def __add__(self, other: "Filled") -> "Filled":
        return Filled(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def rebuild(stores: Stores, tiles: IntArray) -> Iterator[Filled]:
    """Rewrite these tiles and the states of their objects, whatever the cache holds.

    Parameters
    ----------
    stores : `Stores`
        The APDB to read and the cache to write.
    tiles : `numpy.ndarray` [int64]
        Sorted.

    Yields
    ------
    filled : `Filled`
        Of each piece, when it is finished.

    Raises
    ------
    ApdbUnavailableError, CacheUnavailableError
        If a store became unavailable. Entries written before stay valid.
    """
    return _fill(stores, tiles, anew=True)


def warm(stores: Stores, tiles: IntArray) -> Iterator[Filled]:
    """Write those of these tiles and states that the cache lacks or holds in an older version; see `rebuild`."""
    return _fill(stores, tiles, anew=False)


def _fill(stores: Stores, tiles: IntArray, *, anew: bool) -> Iterator[Filled]:
    for some in piecewise(tiles, stores.partition):
        with holding(stores, some) as piece:
            n_tiles = _fill_tiles(stores, piece, anew=anew)
            filled = Filled(tiles=len(some), written_tiles=n_tiles)
            for objects in piece.portions():
                n_states = _fill_states(stores, piece, objects, anew=anew)
                filled += Filled(states=len(objects), written_states=n_states)
        yield filled


def _fill_tiles(stores: Stores, piece: Piece, *, anew: bool) -> int:
    lacking = piece.tiles
    if not anew:
        cached = stores.cache.peek_tiles(lacking.objects.tiles)
        current = of_version(cached, lacking.objects.tiles, lacking.versions)
        lacking = lacking.take(np.flatnonzero(~np.isin(lacking.objects.tiles, current.tiles)))
    stores.write_tiles(lacking)
    return len(lacking)


def _fill_states(stores: Stores, piece: Piece, objects: ObjectPositions, *, anew: bool) -> int:
    if not anew:
        versions = stores.cache.peek_state_versions(objects.diaObjectId, piece.cells(len(objects)))
        objects = objects.take(versions != objects.validityStartMjdTai)
    if not len(objects):
        return 0
    states = stores.cold(piece.session, objects)
    stores.write_states(states, piece.cell)
    return len(states)
