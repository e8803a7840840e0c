"""The cheapest way to give each source at most one object, and each object at most one source."""

import numpy as np
from numba import njit

from stream_assoc.model.types import BoolArray, FloatArray, IntArray


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

    Notes
    -----
    Successive shortest augmenting paths with potentials (Jonker & Volgenant
    1987, Computing 38, 325), on the pairs alone: each source has one further
    column of its own, which costs ``unmatched_cost``. A search only ever
    visits what it can reach through contested objects, so a lone pair costs a
    glance at it and the connected components of the graph need not be found.
    """
    if not len(source_row):
        return np.full(n_sources, -1, np.int64)
    objects, column = np.unique(object_row, return_inverse=True)
    starts = np.searchsorted(source_row, np.arange(n_sources + 1))
    pair = _solve(starts, column.astype(np.int64), scores, len(objects), unmatched_cost)
    return np.asarray(pair, dtype=np.int64)


@njit(cache=True, error_model="numpy")
def _solve(starts: IntArray, column: IntArray, scores: FloatArray, n_columns: int, alone: float) -> IntArray:
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
    for row in range(n_rows):
        if starts[row] == starts[row + 1]:
            continue
        row_price[row] = alone
        for pair in range(starts[row], starts[row + 1]):
            row_price[row] = min(row_price[row], scores[pair] - column_price[column[pair]])
        end, last_row, length, n_touched = _shortest_path(
            row, starts, column, scores, alone, pair_of_row, row_of_column, row_price, column_price,
            distance, arrived_by, came_from, scanned, touched,
        )  # fmt: skip
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
    return pair_of_row


@njit(cache=True, error_model="numpy")
def _shortest_path(  # noqa: PLR0913, PLR0917
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
) -> tuple[int, int, float, int]:
    """Search from ``row`` for the nearest free column (Dijkstra on reduced costs).

    Returns the column, or -1 when the path ends with a row staying alone; that
    row; the length of the path; and the number of columns touched.
    """
    n_touched = 0
    loner, loner_length = -1, np.inf
    current, base = row, 0.0
    while True:
        if base + alone - row_price[current] < loner_length:
            loner, loner_length = current, base + alone - row_price[current]
        for pair in range(starts[current], starts[current + 1]):
            j = column[pair]
            if scanned[j]:
                continue
            length = base + scores[pair] - row_price[current] - column_price[j]
            if distance[j] == np.inf:
                touched[n_touched] = j
                n_touched += 1
            if length < distance[j]:
                distance[j] = length
                arrived_by[j] = pair
                came_from[j] = current
        nearest = -1
        for k in range(n_touched):
            j = touched[k]
            if not scanned[j] and (nearest < 0 or (distance[j], j) < (distance[nearest], nearest)):
                nearest = j
        if nearest < 0 or loner_length < distance[nearest]:
            return -1, loner, loner_length, n_touched
        if row_of_column[nearest] < 0:
            return nearest, -1, distance[nearest], n_touched
        scanned[nearest] = True
        current, base = row_of_column[nearest], distance[nearest]


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
