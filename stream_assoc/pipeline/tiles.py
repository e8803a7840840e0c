"""Tiles after a batch: without the objects that it moved, and with them where they are now."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stream_assoc.model.objects import ObjectPositions, TiledObjects
from stream_assoc.model.types import IntArray


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
    leaving: IntArray,
    leaving_tiles: IntArray,
    arriving: ObjectPositions,
    arriving_tiles: IntArray,
) -> TiledObjects:
    """Return the tiles without some of their objects and with others.

    Parameters
    ----------
    before : `TiledObjects`
        The tiles as they were.
    leaving, leaving_tiles : `numpy.ndarray` [int64], shape (n,)
        The diaObjectId of those that leave, and the tile of ``before`` each is in.
    arriving : `ObjectPositions`
        Those that arrive, in any order.
    arriving_tiles : `numpy.ndarray` [int64]
        The tile of ``before`` that each comes into.

    Returns
    -------
    after : `TiledObjects`
        The same tiles, ascending by diaObjectId in each.
    """
    goes, _ = _places(before, leaving, leaving_tiles)
    comes, order = _places(before, arriving.diaObjectId, arriving_tiles)
    sequence, offsets = _merged(before.positions.diaObjectId, before.offsets, goes, comes)
    together = ObjectPositions.concatenate([before.positions, arriving.take(order)])
    return TiledObjects(before.tiles, offsets, together.take(sequence))


def _places(objects: TiledObjects, ids: IntArray, tiles: IntArray) -> tuple[Places, IntArray]:
    slots = np.searchsorted(objects.tiles, tiles)
    order = np.lexsort((ids, slots))
    return Places(slots[order], ids[order]), order


@njit(cache=True, error_model="numpy")
def _merged(ids: IntArray, offsets: IntArray, goes: Places, comes: Places) -> tuple[IntArray, IntArray]:
    """Return the rows of the old and, counted on from them, the new objects, tile after tile; and the offsets."""
    sequence = np.empty(len(ids) + len(comes.ids), np.int64)
    merged_offsets = np.zeros(len(offsets), np.int64)
    n, gone, new = 0, 0, 0
    for slot in range(len(offsets) - 1):
        for old in range(offsets[slot], offsets[slot + 1]):
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
