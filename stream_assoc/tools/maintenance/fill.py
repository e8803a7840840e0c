"""Write tiles and states from the APDB to the cache, whatever it holds."""

from collections.abc import Iterator

from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.tools.maintenance.stores import Stores, holding, piecewise


def rebuild(stores: Stores, tiles: IntArray) -> Iterator[Warmed]:
    """Rewrite these tiles and the states of their objects, whatever the cache holds.

    `~stream_assoc.pipeline.warming.Warmer` writes only what the cache lacks, and holds nothing.

    Parameters
    ----------
    stores : `Stores`
        The APDB to read and the cache to write.
    tiles : `numpy.ndarray` [int64]
        Sorted.

    Yields
    ------
    filled : `Warmed`
        Of each piece, when it is finished.

    Raises
    ------
    ApdbUnavailableError, CacheUnavailableError
        If a store became unavailable. Entries written before stay valid.
    """
    for some in piecewise(tiles, stores.partition):
        with holding(stores, some) as piece:
            stores.write_tiles(piece.tiles)
            filled = Warmed(tiles=len(some), written_tiles=len(piece.tiles))
            for objects in piece.portions():
                states = stores.cold(piece.session, objects)
                stores.write_states(states, piece.cell)
                filled += Warmed(states=len(objects), written_states=len(states))
        yield filled
