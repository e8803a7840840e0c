"""A binary heap of columns by their distance, for compiled code: the nearest comes first, and may come nearer."""

import numpy as np
from numba import njit

from stream_assoc.core.model.types import FloatArray, IntArray


@njit(cache=True, error_model="numpy")
def new_heap(n_columns: int) -> tuple[IntArray, IntArray]:
    """Return an empty heap, and the place of each column in it: -1, because none is there."""
    return np.empty(n_columns, np.int64), np.full(n_columns, -1, np.int64)


@njit(cache=True, error_model="numpy")
def push_or_move_up(heap: IntArray, place: IntArray, n: int, column: int, distance: FloatArray) -> int:
    """Add a column to a heap of ``n``, or move it up after its distance shrank; return how many there are now."""
    at = place[column]
    if at < 0:
        at = n
        n += 1
    while at > 0:
        parent = (at - 1) >> 1
        if not is_nearer(column, heap[parent], distance):
            break
        heap[at] = heap[parent]
        place[heap[at]] = at
        at = parent
    heap[at] = column
    place[column] = at
    return n


@njit(cache=True, error_model="numpy")
def pop_nearest(heap: IntArray, place: IntArray, n: int, distance: FloatArray) -> int:
    """Remove the first column of a heap of ``n``, if there is one; return how many are left."""
    if n == 0:
        return 0
    place[heap[0]] = -1
    n -= 1
    if n == 0:
        return 0
    column = heap[n]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and is_nearer(heap[child + 1], heap[child], distance):
            child += 1
        if not is_nearer(heap[child], column, distance):
            break
        heap[at] = heap[child]
        place[heap[at]] = at
        at = child
    heap[at] = column
    place[column] = at
    return n


@njit(cache=True, error_model="numpy", inline="always")
def is_nearer(one: int, other: int, distance: FloatArray) -> bool:
    """Tell whether one column comes before the other; of equally far ones that with the smaller number does."""
    return distance[one] < distance[other] or (distance[one] == distance[other] and one < other)
