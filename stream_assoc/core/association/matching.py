"""The assignment of least cost: each source gets at most one object, and each object at most one source."""

from typing import Final

import numpy as np
from numba import njit

from stream_assoc.core.exceptions import EntangledSourcesError
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray

MAX_STEPS: Final = 2_000_000_000
"""Looks at a pair before a search is given up, some seconds of work. A visit of Rubin takes ten thousand."""

_MOST_SCANS_PER_STEP: Final = 4


def match_at_least_cost(
    source_row: IntArray, object_row: IntArray, scores: FloatArray, n_sources: int, unmatched_cost: float
) -> IntArray:
    """Solve the sparse assignment problem in which a source may stay alone at a price.

    Parameters
    ----------
    source_row, object_row : `numpy.ndarray` [int64], shape (n_pairs,)
        The allowed pairs, each once, ascending by source.
    scores : `numpy.ndarray` [float64], shape (n_pairs,)
        Cost of each pair, finite.
    n_sources : `int`
        Number of sources, those without a pair included.
    unmatched_cost : `float`
        Cost of a source that stays alone.

    Returns
    -------
    match : `numpy.ndarray` [int64], shape (n_sources,)
        The index of the chosen pair of each source, or -1. The sum of the
        costs is the least possible; the matching itself is unique unless two
        matchings cost the same.

    Raises
    ------
    EntangledSourcesError
        If so many sources contest the same objects that the search is given
        up, after `MAX_STEPS`.

    Notes
    -----
    Successive shortest augmenting paths with potentials (Jonker & Volgenant
    1987, Computing 38, 325), on the pairs alone: each source has one further
    column of its own, which costs ``unmatched_cost``. A search only ever
    visits what it can reach through contested objects, so a lone pair costs a
    glance at it and the connected components of the graph need not be found.
    A column farther away than an end that is already known cannot lie on the
    path, so it is not put on the heap.
    """
    if not len(source_row):
        return np.full(n_sources, -1, np.int64)
    objects, column = np.unique(object_row, return_inverse=True)
    starts = np.searchsorted(source_row, np.arange(n_sources + 1))
    pair, is_solved = _solve(starts, column.astype(np.int64), scores, len(objects), unmatched_cost, MAX_STEPS)
    if not is_solved:
        raise EntangledSourcesError(
            f"{np.count_nonzero(np.diff(starts))} sources contest {len(objects)} objects in {len(source_row)} pairs, "
            f"too entangled to find the best matching within {MAX_STEPS} steps; check ra and dec of the sources, "
            "or lower association.max_distance_arcsec"
        )
    return np.asarray(pair, dtype=np.int64)


@njit(cache=True, error_model="numpy")
def _solve(
    starts: IntArray, column: IntArray, scores: FloatArray, n_columns: int, alone: float, most_steps: int
) -> tuple[IntArray, bool]:
    """Return the pair of each row, and whether that was found within so many steps."""
    n_rows = len(starts) - 1
    pair_of_row = np.full(n_rows, -1, np.int64)
    row_of_column = np.full(n_columns, -1, np.int64)
    row_price = np.zeros(n_rows)
    column_price = np.zeros(n_columns)
    distance = np.full(n_columns, np.inf)
    arrived_by = np.empty(n_columns, np.int64)
    came_from = np.empty(n_columns, np.int64)
    scanned = np.zeros(n_columns, np.bool_)
    touched = np.empty(n_columns, np.int64)
    heap, place = new_heap(n_columns)
    n_steps = 0
    for row in range(n_rows):
        if starts[row] == starts[row + 1]:
            continue
        row_price[row] = alone
        for pair in range(starts[row], starts[row + 1]):
            row_price[row] = min(row_price[row], scores[pair] - column_price[column[pair]])
        end, last_row, length, n_touched, n_looks = _shortest_path(
            row, starts, column, scores, alone, pair_of_row, row_of_column, row_price, column_price,
            distance, arrived_by, came_from, scanned, touched, heap, place, most_steps - n_steps,
        )  # fmt: skip
        n_steps += n_looks
        if n_steps > most_steps:
            return pair_of_row, False
        row_price[row] += length
        for k in range(n_touched):
            j = touched[k]
            if scanned[j]:
                row_price[row_of_column[j]] += length - distance[j]
                column_price[j] -= length - distance[j]
        _augment(row, end, last_row, column, pair_of_row, row_of_column, arrived_by, came_from)
        for k in range(n_touched):
            distance[touched[k]] = np.inf
            scanned[touched[k]] = False
            place[touched[k]] = -1
    return pair_of_row, True


@njit(cache=True, error_model="numpy")
def _shortest_path(  # noqa: PLR0912, PLR0913, PLR0917
    row: int,
    starts: IntArray,
    column: IntArray,
    scores: FloatArray,
    alone: float,
    pair_of_row: IntArray,
    row_of_column: IntArray,
    row_price: FloatArray,
    column_price: FloatArray,
    distance: FloatArray,
    arrived_by: IntArray,
    came_from: IntArray,
    scanned: BoolArray,
    touched: IntArray,
    heap: IntArray,
    place: IntArray,
    most_steps: int,
) -> tuple[int, int, float, int, int]:
    """Search from ``row`` for the nearest free column (Dijkstra on reduced costs).

    Returns the column, or -1 when the path ends with a row staying alone; that
    row; the length of the path; the number of columns touched; and the steps
    taken. A search that takes more than ``most_steps`` ends anywhere.
    """
    n_touched, n_waiting, n_steps, n_scanned = 0, 0, 0, 0
    # Looking through all columns costs less than keeping a heap, as long as rows have many pairs.
    is_heaped = False
    loner, loner_length = -1, np.inf
    # No end that is nearer than this is left to find.
    bound = np.inf
    current, base = row, 0.0
    while True:
        if base + alone - row_price[current] < loner_length:
            loner, loner_length = current, base + alone - row_price[current]
            bound = min(bound, loner_length)
        n_steps += starts[current + 1] - starts[current] + 1
        if n_steps > most_steps:
            return -1, loner, loner_length, n_touched, n_steps
        for pair in range(starts[current], starts[current + 1]):
            j = column[pair]
            if scanned[j]:
                continue
            length = base + scores[pair] - row_price[current] - column_price[j]
            if length < distance[j] and length <= bound:
                if distance[j] == np.inf:
                    touched[n_touched] = j
                    n_touched += 1
                distance[j] = length
                arrived_by[j] = pair
                came_from[j] = current
                if row_of_column[j] < 0:
                    bound = length
                if is_heaped:
                    n_waiting = push_or_move_up(heap, place, n_waiting, j, distance)
        if not is_heaped:
            n_scanned += n_touched
            if n_scanned > _MOST_SCANS_PER_STEP * n_steps:
                is_heaped, n_waiting = True, _heap_up(heap, place, touched[:n_touched], scanned, distance)
        if is_heaped:
            nearest = heap[0] if n_waiting > 0 else -1
            n_waiting = pop_nearest(heap, place, n_waiting, distance)
        else:
            nearest = _nearest_of(touched[:n_touched], scanned, distance)
        if nearest < 0 or loner_length < distance[nearest]:
            return -1, loner, loner_length, n_touched, n_steps
        if row_of_column[nearest] < 0:
            return nearest, -1, distance[nearest], n_touched, n_steps
        scanned[nearest] = True
        current, base = row_of_column[nearest], distance[nearest]


@njit(cache=True, error_model="numpy")
def _nearest_of(touched: IntArray, scanned: BoolArray, distance: FloatArray) -> int:
    """Return the nearest column that is not scanned, the first of equally near ones, or -1."""
    nearest, least = -1, np.inf
    for j in touched:
        if distance[j] <= least and not scanned[j] and (distance[j] < least or j < nearest):
            nearest, least = j, distance[j]
    return nearest


@njit(cache=True, error_model="numpy")
def _heap_up(heap: IntArray, place: IntArray, touched: IntArray, scanned: BoolArray, distance: FloatArray) -> int:
    """Put every column that is not scanned on an empty heap; return how many they are."""
    n_waiting = 0
    for j in touched:
        if not scanned[j]:
            n_waiting = push_or_move_up(heap, place, n_waiting, j, distance)
    return n_waiting


@njit(cache=True, error_model="numpy")
def _augment(  # noqa: PLR0913, PLR0917
    row: int,
    end: int,
    loner: int,
    column: IntArray,
    pair_of_row: IntArray,
    row_of_column: IntArray,
    arrived_by: IntArray,
    came_from: IntArray,
) -> None:
    """Shift every row on the path to the next column, and give the last its end."""
    j = end
    if loner >= 0:
        if loner == row:
            return
        j = column[pair_of_row[loner]]
        pair_of_row[loner] = -1
    while True:
        owner = came_from[j]
        previous = pair_of_row[owner]
        pair_of_row[owner] = arrived_by[j]
        row_of_column[j] = owner
        if owner == row:
            return
        j = column[previous]


# A binary heap of columns by their distance: the nearest comes first, and may come nearer.


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
