"""How tiles become blobs, and how a damaged or forged one is known.

A blob that is truncated, altered, foreign, of another tile or of another
layout is *unreadable*: it is reported as absent and counted, never raised,
because whoever asked for it can rebuild it. The words of a blob are told in
`stream_assoc.stores.cache.packing.tile_words`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.arrays import as_is, offsets_of, read_only
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.packing import tile_words
from stream_assoc.stores.cache.packing.authentication import BlobKey
from stream_assoc.stores.cache.packing.blobs import Blob, joined, slices, words_of


def pack_tiles(tiles: CachedTiles, key: BlobKey) -> list[memoryview]:
    """Return each tile as a blob, in order: 32 bytes and 44 bytes an object, padded to 8.

    Parameters
    ----------
    tiles : `CachedTiles`
    key : `BlobKey`
        What they are authenticated with.

    Returns
    -------
    blobs : `list` [`memoryview`]
        Slices of one buffer. `unpack_tiles` gives the same bits back.
    """
    objects = tiles.objects
    starts = tile_words.measure(read_only(objects.offsets))
    # Zeros, for what pads a blob is authenticated too.
    buffer = np.zeros(8 * int(starts[-1]), np.uint8)
    tile_words.fill(
        words_of(buffer),
        starts,
        read_only(objects.tiles),
        read_only(tiles.versions),
        read_only(objects.offsets),
        _columns(objects.positions, read_only),
        key,
    )
    return slices(buffer, starts)


def unpack_tiles(blobs: Sequence[Blob | None], tiles: IntArray, key: BlobKey) -> tuple[CachedTiles, int]:
    """Return the tiles that are present and readable, in order.

    Parameters
    ----------
    blobs : `~collections.abc.Sequence` [`bytes`, `memoryview` or `None`]
        What the cache holds for each tile; `None` for nothing.
    tiles : `numpy.ndarray` [int64], shape (n,)
        The tile each blob must be of.
    key : `BlobKey`
        What it must be authenticated with.

    Returns
    -------
    cached : `CachedTiles`
    n_unreadable : `int`
        Blobs that no writer of this layout has written for this tile.
    """
    words, starts = joined(blobs)
    n_objects, versions = tile_words.examine(words, starts, read_only(tiles), key)
    found = np.flatnonzero(n_objects != tile_words.UNREADABLE)
    offsets = offsets_of(n_objects[found])
    positions = _new_positions(int(offsets[-1]))
    tile_words.read(words, starts[found], offsets, _columns(positions, as_is))
    n_unreadable = len(blobs) - blobs.count(None) - len(found)
    return CachedTiles(TiledObjects(tiles[found], offsets, positions), versions[found]), n_unreadable


def _new_positions(n: int) -> ObjectPositions:
    return ObjectPositions(
        diaObjectId=np.empty(n, np.int64),
        ra=np.empty(n),
        dec=np.empty(n),
        raErr=np.empty(n, np.float32),
        decErr=np.empty(n, np.float32),
        validityStartMjdTai=np.empty(n),
        nDiaSources=np.empty(n, np.int32),
    )


def _columns(
    positions: ObjectPositions, prepare: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> tile_words.TileColumns:
    return tile_words.TileColumns(
        (
            prepare(positions.diaObjectId),
            prepare(positions.ra).view(np.int64),
            prepare(positions.dec).view(np.int64),
            prepare(positions.validityStartMjdTai).view(np.int64),
        ),
        (
            prepare(positions.raErr).view(np.uint32),
            prepare(positions.decErr).view(np.uint32),
            prepare(positions.nDiaSources).view(np.uint32),
        ),
    )
