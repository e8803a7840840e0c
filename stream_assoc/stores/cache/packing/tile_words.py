"""The words of a tile blob, read and written by compiled loops over many tiles.

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

from typing import Final, NamedTuple

import numba
import numpy as np

from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.cache.packing.authentication import BlobKey, code_of_words
from stream_assoc.stores.cache.packing.blobs import LAYOUT_VERSION, UInt32Array, Words

UNREADABLE: Final = -1
"""Stands for the number of objects of a blob that no writer of this layout wrote for this tile."""

_HEADER: Final = 4
_N_WIDE: Final = 4
_N_NARROW: Final = 3


class TileColumns(NamedTuple):
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


@numba.njit(cache=True, error_model="numpy")
def measure(offsets: IntArray) -> IntArray:
    """Return the first word of each tile's blob, and of the one after the last, given where its objects begin."""
    starts = np.zeros(len(offsets), np.int64)
    for tile in range(len(offsets) - 1):
        starts[tile + 1] = starts[tile] + _n_words(int(offsets[tile + 1] - offsets[tile]))
    return starts


@numba.njit(cache=True, error_model="numpy", inline="always")
def _n_words(n_objects: int) -> int:
    return _HEADER + _N_WIDE * n_objects + (_N_NARROW * n_objects + 1) // 2


@numba.njit(cache=True, error_model="numpy")
def examine(words: Words, starts: IntArray, tiles: IntArray, key: BlobKey) -> tuple[IntArray, IntArray]:
    """Judge each blob before anything is taken from it.

    Parameters
    ----------
    words : `Words`
        The blobs.
    starts : `numpy.ndarray` [int64], shape (n + 1,)
        First word of each, and one past the last. A missing blob has no words.
    tiles : `numpy.ndarray` [int64], shape (n,)
        The tile each blob must be of.
    key : `BlobKey`
        What it must be authenticated with.

    Returns
    -------
    n_objects : `numpy.ndarray` [int64], shape (n,)
        Objects in each, or `UNREADABLE`.
    versions : `numpy.ndarray` [int64], shape (n,)
        Its version, where readable.
    """
    n_objects, versions = np.full(len(tiles), UNREADABLE, np.int64), np.zeros(len(tiles), np.int64)
    for row in range(len(tiles)):
        start, stop = starts[row], starts[row + 1]
        half = 2 * start
        if (
            stop - start >= _HEADER
            and words.halves[half + 2] == LAYOUT_VERSION
            and stop - start == _n_words(int(words.halves[half + 3]))
            and words.signed[start + 2] == tiles[row]
            and words.unsigned[start] == code_of_words(words.unsigned, start + 1, stop, key)
        ):
            n_objects[row] = words.halves[half + 3]
            versions[row] = words.signed[start + 3]
    return n_objects, versions


@numba.njit(cache=True, error_model="numpy")
def read(words: Words, starts: IntArray, offsets: IntArray, columns: TileColumns) -> None:
    """Take the columns out of blobs that `examine` found readable.

    Parameters
    ----------
    words : `Words`
        The blobs.
    starts : `numpy.ndarray` [int64], shape (n,)
        First word of each of those to take.
    offsets : `numpy.ndarray` [int64], shape (n + 1,)
        First row of each in the columns, and one past the last.
    columns : `TileColumns`
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
def fill(  # noqa: PLR0913, PLR0917
    words: Words,
    starts: IntArray,
    tiles: IntArray,
    versions: IntArray,
    offsets: IntArray,
    columns: TileColumns,
    key: BlobKey,
) -> None:
    """Write the blobs of all tiles into one buffer of zeros.

    Parameters
    ----------
    words, starts
        As in `examine`.
    tiles, versions : `numpy.ndarray` [int64], shape (n,)
    offsets, columns
        As in `read`.
    key : `BlobKey`
        What each is authenticated with.
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
        words.unsigned[start] = code_of_words(words.unsigned, start + 1, starts[tile + 1], key)
