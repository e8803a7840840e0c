"""Tiles after a batch: without the objects that it moved, and with them where they are now."""

import numpy as np
from numba import njit

from stream_assoc.model.objects import ObjectPositions, TiledObjects
from stream_assoc.model.types import BoolArray, IntArray


def without_and_with(
    before: TiledObjects, leaving: IntArray, arriving: ObjectPositions, arriving_tiles: IntArray
) -> TiledObjects:
    """Return the tiles without some of their objects and with others.

    Parameters
    ----------
    before : `TiledObjects`
        The tiles as they were.
    leaving : `numpy.ndarray` [int64]
        Rows of ``before`` that leave.
    arriving : `ObjectPositions`
        Objects that arrive, in any order.
    arriving_tiles : `numpy.ndarray` [int64]
        The tile of each, one of those of ``before``.

    Returns
    -------
    after : `TiledObjects`
        The same tiles, ascending by diaObjectId in each.
    """
    slots = np.searchsorted(before.tiles, arriving_tiles)
    order = np.lexsort((arriving.diaObjectId, slots))
    arriving, slots = arriving.take(order), slots[order]
    stays = np.ones(len(before), np.bool_)
    stays[leaving] = False
    sequence, offsets = _merged(before.positions.diaObjectId, before.offsets, stays, arriving.diaObjectId, slots)
    together = ObjectPositions.concatenate([before.positions, arriving])
    return TiledObjects(before.tiles, offsets, together.take(sequence))


@njit(cache=True, error_model="numpy")
def _merged(
    ids: IntArray, offsets: IntArray, stays: BoolArray, new_ids: IntArray, new_slots: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the rows of the old and, counted on from them, the new objects, tile after tile; and the offsets."""
    sequence = np.empty(len(ids) + len(new_ids), np.int64)
    merged_offsets = np.zeros(len(offsets), np.int64)
    n, new = 0, 0
    for slot in range(len(offsets) - 1):
        for old in range(offsets[slot], offsets[slot + 1]):
            if not stays[old]:
                continue
            while new < len(new_ids) and new_slots[new] == slot and new_ids[new] < ids[old]:
                sequence[n] = len(ids) + new
                n += 1
                new += 1
            sequence[n] = old
            n += 1
        while new < len(new_ids) and new_slots[new] == slot:
            sequence[n] = len(ids) + new
            n += 1
            new += 1
        merged_offsets[slot + 1] = n
    return sequence[:n], merged_offsets
