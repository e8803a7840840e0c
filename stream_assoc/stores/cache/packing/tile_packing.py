"""How tiles become blobs, and how a damaged or forged one is known.

A blob that is truncated, altered, foreign, of another tile or of another
layout is *unreadable*: it is reported as absent and counted, never raised,
because whoever asked for it can rebuild it. Compiled loops read and write the
words of many tiles at once.

==== =========================================================================
word content
==== =========================================================================
0    code that authenticates words 1 to the end (uint64)
1    layout version (uint32), number of objects n (uint32)
2    HTM index of the tile (int64)
3    version of the tile (int64)
==== =========================================================================

Then come the columns, n values each: diaObjectId (int64), ra, dec and
validityStartMjdTai (float64), raErr and decErr (float32), nDiaSources (int32),
and four bytes of nothing where the whole is no number of words.

Columns travel as integers, so that no floating-point register touches a NaN.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.arrays import as_is, offsets_of, read_only
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.packing.authentication import BlobKey, UInt64Array, codes_of_blobs
from stream_assoc.stores.cache.packing.blobs import LAYOUT_VERSION, Blob, UInt32Array, Words, joined, slices, words_of

_UNREADABLE: Final = -1
"""Stands for the number of objects of a blob that no writer of this layout wrote for this tile."""

TILE: Final = 2
VERSION: Final = 3
"""The words that hold the tile's index and its version."""

_HEADER: Final = 4
_N_WIDE: Final = 4
_N_NARROW: Final = 3


class _TileColumns(NamedTuple):
    """Columns of objects, tile after tile, as integers of their size.

    Attributes
    ----------
    wide : `tuple` [`numpy.ndarray` [int64], ...]
        diaObjectId, ra, dec, validityStartMjdTai.
    narrow : `tuple` [`numpy.ndarray` [uint32], ...]
        raErr, decErr, nDiaSources.
    """

    wide: tuple[IntArray, IntArray, IntArray, IntArray]
    narrow: tuple[UInt32Array, UInt32Array, UInt32Array]


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
    starts = _measure(read_only(objects.offsets))
    # Zeros, for what pads a blob is authenticated too.
    buffer = np.zeros(8 * int(starts[-1]), np.uint8)
    words = words_of(buffer)
    _fill(
        words,
        starts,
        read_only(objects.tiles),
        read_only(tiles.versions),
        read_only(objects.offsets),
        _columns(objects.positions, read_only),
    )
    words.unsigned[starts[:-1]] = codes_of_blobs(words.unsigned, starts, key)
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
    codes = codes_of_blobs(words.unsigned, starts, key)
    n_objects, versions = _examine(words, starts, read_only(tiles), codes)
    found = np.flatnonzero(n_objects != _UNREADABLE)
    offsets = offsets_of(n_objects[found])
    positions = _new_positions(int(offsets[-1]))
    _read(words, starts[found], offsets, _columns(positions, as_is))
    n_not_found = len(blobs) - len(found)
    # To look at every blob for that is slow, and mostly needless.
    n_unreadable = n_not_found - blobs.count(None) if n_not_found else 0
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


def _columns(positions: ObjectPositions, prepare: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> _TileColumns:
    return _TileColumns(
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


@numba.njit(cache=True, error_model="numpy")
def _measure(offsets: IntArray) -> IntArray:
    """Return the first word of each tile's blob, and of the one after the last, given where its objects begin."""
    starts = np.zeros(len(offsets), np.int64)
    for tile in range(len(offsets) - 1):
        starts[tile + 1] = starts[tile] + _n_words(int(offsets[tile + 1] - offsets[tile]))
    return starts


@numba.njit(cache=True, error_model="numpy", inline="always")
def _n_words(n_objects: int) -> int:
    return _HEADER + _N_WIDE * n_objects + (_N_NARROW * n_objects + 1) // 2


@numba.njit(cache=True, error_model="numpy")
def _examine(words: Words, starts: IntArray, tiles: IntArray, codes: UInt64Array) -> tuple[IntArray, IntArray]:
    """Judge each blob before anything is taken from it.

    Parameters
    ----------
    words : `Words`
        The blobs.
    starts : `numpy.ndarray` [int64], shape (n + 1,)
        First word of each, and one past the last. A missing blob has no words.
    tiles : `numpy.ndarray` [int64], shape (n,)
        The tile each blob must be of.
    codes : `numpy.ndarray` [uint64], shape (n,)
        The code each must carry.

    Returns
    -------
    n_objects : `numpy.ndarray` [int64], shape (n,)
        Objects in each, or `_UNREADABLE`.
    versions : `numpy.ndarray` [int64], shape (n,)
        Its version, where readable.
    """
    n_objects, versions = np.full(len(tiles), _UNREADABLE, np.int64), np.zeros(len(tiles), np.int64)
    for row in range(len(tiles)):
        start, stop = starts[row], starts[row + 1]
        half = 2 * start
        if (
            stop - start >= _HEADER
            and words.halves[half + 2] == LAYOUT_VERSION
            and stop - start == _n_words(int(words.halves[half + 3]))
            and words.signed[start + 2] == tiles[row]
            and words.unsigned[start] == codes[row]
        ):
            n_objects[row] = words.halves[half + 3]
            versions[row] = words.signed[start + 3]
    return n_objects, versions


@numba.njit(cache=True, error_model="numpy")
def _read(words: Words, starts: IntArray, offsets: IntArray, columns: _TileColumns) -> None:
    """Take the columns out of blobs that `_examine` found readable.

    Parameters
    ----------
    words : `Words`
        The blobs.
    starts : `numpy.ndarray` [int64], shape (n,)
        First word of each of those to take.
    offsets : `numpy.ndarray` [int64], shape (n + 1,)
        First row of each in the columns, and one past the last.
    columns : `_TileColumns`
        Written.
    """
    for tile in range(len(starts)):
        first, n = offsets[tile], offsets[tile + 1] - offsets[tile]
        at = starts[tile] + _HEADER
        for k in range(_N_WIDE):
            columns.wide[k][first : first + n] = words.signed[at : at + n]
            at += n
        half = 2 * at
        for k in range(_N_NARROW):
            columns.narrow[k][first : first + n] = words.halves[half : half + n]
            half += n


@numba.njit(cache=True, error_model="numpy")
def _fill(
    words: Words, starts: IntArray, tiles: IntArray, versions: IntArray, offsets: IntArray, columns: _TileColumns
) -> None:
    """Write the blobs of all tiles into one buffer of zeros, but for their codes.

    Parameters
    ----------
    words, starts
        As in `_examine`.
    tiles, versions : `numpy.ndarray` [int64], shape (n,)
    offsets, columns
        As in `_read`.
    """
    for tile in range(len(tiles)):
        first, n = offsets[tile], offsets[tile + 1] - offsets[tile]
        start = starts[tile]
        half = 2 * start
        words.halves[half + 2] = LAYOUT_VERSION
        words.halves[half + 3] = n
        words.signed[start + 2] = tiles[tile]
        words.signed[start + 3] = versions[tile]
        at = start + _HEADER
        for k in range(_N_WIDE):
            words.signed[at : at + n] = columns.wide[k][first : first + n]
            at += n
        at *= 2
        for k in range(_N_NARROW):
            words.halves[at : at + n] = columns.narrow[k][first : first + n]
            at += n
