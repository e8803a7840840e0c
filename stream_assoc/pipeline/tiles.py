"""Tiles after a batch: without the objects that it moved, and with them where they are now."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_assoc.core.model.arrays import read_only
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.types import IntArray


class Places(NamedTuple):
    """Some objects by where they are, sorted by slot, then by id.

    Attributes
    ----------
    slots, ids : `numpy.ndarray` [int64], shape (n,)
        The row of each one's tile among the tiles, and its diaObjectId.
    """

    slots: IntArray
    ids: IntArray


def without_and_with(
    before: TiledObjects,
    tiles: IntArray,
    leaving: IntArray,
    leaving_tiles: IntArray,
    arriving: ObjectPositions,
    arriving_tiles: IntArray,
) -> TiledObjects:
    """Return some tiles without some of their objects and with others.

    Parameters
    ----------
    before : `TiledObjects`
        These tiles as they were, and perhaps others.
    tiles : `numpy.ndarray` [int64], shape (n_tiles,)
        Those wanted, ascending.
    leaving, leaving_tiles : `numpy.ndarray` [int64], shape (n,)
        The diaObjectId of those that leave, and the tile each is in, one of ``tiles``.
    arriving : `ObjectPositions`
        Those that arrive, in any order.
    arriving_tiles : `numpy.ndarray` [int64]
        The tile that each comes into, one of ``tiles``.

    Returns
    -------
    after : `TiledObjects`
        ``tiles``, ascending by diaObjectId in each.
    """
    goes, _ = _places(tiles, leaving, leaving_tiles)
    comes, order = _places(tiles, arriving.diaObjectId, arriving_tiles)
    slots = np.searchsorted(before.tiles, tiles)
    begins, ends = before.offsets[slots], before.offsets[slots + 1]
    sequence, offsets = _merged(read_only(before.positions.diaObjectId), begins, ends, goes, comes)
    return TiledObjects(tiles, offsets, _chosen(before.positions, arriving.take(order), sequence))


def _places(tiles: IntArray, ids: IntArray, tile_of: IntArray) -> tuple[Places, IntArray]:
    slots = np.searchsorted(tiles, tile_of)
    order = np.lexsort((ids, slots))
    return Places(slots[order], ids[order]), order


def _chosen(old: ObjectPositions, new: ObjectPositions, sequence: IntArray) -> ObjectPositions:
    columns = [(getattr(old, name), getattr(new, name)) for name in ObjectPositions.__slots__]
    return ObjectPositions(*(_chosen_values(read_only(one), read_only(other), sequence) for one, other in columns))


@njit(cache=True, error_model="numpy")
def _chosen_values(old: npt.NDArray[Any], new: npt.NDArray[Any], sequence: IntArray) -> npt.NDArray[Any]:
    """Return the values of these rows, which are counted on from the old to the new."""
    values = np.empty(len(sequence), old.dtype)
    for i in range(len(sequence)):
        row = sequence[i]
        values[i] = old[row] if row < len(old) else new[row - len(old)]
    return values


@njit(cache=True, error_model="numpy")
def _merged(
    ids: IntArray, begins: IntArray, ends: IntArray, goes: Places, comes: Places
) -> tuple[IntArray, IntArray]:
    """Return the rows of the old and, counted on from them, the new objects, tile after tile; and the offsets."""
    sequence = np.empty((ends - begins).sum() + len(comes.ids), np.int64)
    merged_offsets = np.zeros(len(begins) + 1, np.int64)
    n, gone, new = 0, 0, 0
    for slot in range(len(begins)):
        for old in range(begins[slot], ends[slot]):
            if gone < len(goes.ids) and goes.slots[gone] == slot and goes.ids[gone] == ids[old]:
                gone += 1
                continue
            while new < len(comes.ids) and comes.slots[new] == slot and comes.ids[new] < ids[old]:
                sequence[n] = len(ids) + new
                n += 1
                new += 1
            sequence[n] = old
            n += 1
        while new < len(comes.ids) and comes.slots[new] == slot:
            sequence[n] = len(ids) + new
            n += 1
            new += 1
        merged_offsets[slot + 1] = n
    return sequence[:n], merged_offsets
