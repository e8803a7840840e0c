import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from stream_assoc.core.association import matching as module
from stream_assoc.core.association.matching import match_at_least_cost, new_heap, pop_nearest, push_or_move_up
from stream_assoc.core.exceptions import EntangledSourcesError


def least_cost(rows: np.ndarray, columns: np.ndarray, scores: np.ndarray, n: int, alone: float) -> float:
    """Solve the whole problem with scipy, every source with its own no-match column."""
    if n == 0:
        return 0.0
    width = int(columns.max(initial=-1)) + 1
    # scipy takes no zero weight; a constant on every edge changes nothing but the sum.
    shift = 1.0 - min(scores.min(initial=0.0), alone)
    weights = np.concatenate([scores, np.full(n, alone)]) + shift
    graph = coo_array(
        (weights, (np.append(rows, np.arange(n)), np.append(columns, width + np.arange(n)))), shape=(n, width + n)
    ).tocsr()
    i, j = min_weight_full_bipartite_matching(graph)
    return float(graph[i, j].sum() - shift * n)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 12), st.integers(1, 12), st.floats(0.05, 1.0), st.integers(0, 10**6), st.booleans())
def test_the_cost_is_the_least_there_is(n: int, m: int, density: float, seed: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    rows, columns = np.nonzero(random.random((n, m)) < density)
    scores = random.normal(size=len(rows)) * 20.0
    if ties:
        scores = np.round(scores / 10.0)
    alone = float(scores.max(initial=0.0)) + random.choice([1.0, -15.0])
    match = match_at_least_cost(rows, columns, scores, n, alone)

    chosen = match[match >= 0]
    assert rows[chosen].tolist() == np.flatnonzero(match >= 0).tolist()
    assert len(np.unique(columns[chosen])) == len(chosen)
    cost = scores[chosen].sum() + alone * (n - len(chosen))
    assert cost == pytest.approx(least_cost(rows, columns, scores, n, alone), abs=1e-9)


def test_one_large_contested_component() -> None:
    random = np.random.default_rng(5)
    n = 300
    rows = np.repeat(np.arange(n), 6)
    columns = (rows + np.tile(np.arange(6), n)) % (n - 20)
    scores = random.normal(size=len(rows))
    match = match_at_least_cost(rows, columns, scores, n, 3.0)
    chosen = match[match >= 0]
    cost = scores[chosen].sum() + 3.0 * (n - len(chosen))
    assert cost == pytest.approx(least_cost(rows, columns, scores, n, 3.0), abs=1e-9)


def test_a_chain_moves_along_when_that_is_cheaper() -> None:
    match = match_at_least_cost(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([0.0, -1.0, 2.0]), 2, 10.0)
    assert match.tolist() == [0, 2]


def test_a_source_stays_alone_when_its_match_would_cost_others_more() -> None:
    match = match_at_least_cost(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([0.0, -9.0, 9.0]), 2, 5.0)
    assert match.tolist() == [-1, 1]


def test_no_pairs() -> None:
    nothing = np.empty(0, np.int64)
    assert match_at_least_cost(nothing, nothing, np.empty(0), 3, 1.0).tolist() == [-1, -1, -1]


def plain_match(rows: np.ndarray, columns: np.ndarray, scores: np.ndarray, n: int, alone: float) -> list[int]:
    """Solve as `match_at_least_cost` does, in the plainest way: look through all columns for the nearest."""
    pairs_of = [np.flatnonzero(rows == row).tolist() for row in range(n)]
    pair_of_row, row_of_column = [-1] * n, dict[int, int]()
    row_price, column_price = [0.0] * n, dict.fromkeys(columns.tolist(), 0.0)
    for row in (row for row in range(n) if pairs_of[row]):
        row_price[row] = min(alone, *(scores[pair] - column_price[columns[pair]] for pair in pairs_of[row]))
        distance, arrived_by, scanned = dict[int, float](), dict[int, int](), list[int]()
        loner, loner_length, current, base, end = -1, np.inf, row, 0.0, -1
        while True:
            if base + alone - row_price[current] < loner_length:
                loner, loner_length = current, base + alone - row_price[current]
            for pair in pairs_of[current]:
                j = int(columns[pair])
                length = base + scores[pair] - row_price[current] - column_price[j]
                if j not in scanned and length < distance.get(j, np.inf):
                    distance[j], arrived_by[j] = length, pair
            waiting = [(length, j) for j, length in distance.items() if j not in scanned]
            if not waiting or loner_length < min(waiting)[0]:
                length = loner_length
                break
            length, j = min(waiting)
            if j not in row_of_column:
                end = j
                break
            scanned.append(j)
            current, base = row_of_column[j], length
        row_price[row] += length
        for j in scanned:
            row_price[row_of_column[j]] += length - distance[j]
            column_price[j] -= length - distance[j]
        if end < 0:
            if loner == row:
                continue
            end, pair_of_row[loner] = int(columns[pair_of_row[loner]]), -1
        owner = -1
        while owner != row:
            owner = int(rows[arrived_by[end]])
            previous, pair_of_row[owner] = pair_of_row[owner], arrived_by[end]
            row_of_column[end] = owner
            end = int(columns[previous])
    return pair_of_row


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4), st.integers(0, 10**6), st.booleans())
def test_equally_good_matchings_are_chosen_between_as_ever(
    n: int, m: int, degree: int, seed: int, chain: bool
) -> None:
    random = np.random.default_rng(seed)
    first = np.arange(n) if chain else random.integers(m, size=n)
    pairs = np.unique([(row, (first[row] + k) % m) for row in range(n) for k in range(degree)], axis=0)
    rows, columns = pairs[:, 0], pairs[:, 1]
    scores = random.integers(0, 3, len(rows)).astype(np.float64)
    assert match_at_least_cost(rows, columns, scores, n, 4.0).tolist() == plain_match(rows, columns, scores, n, 4.0)


def contested_chain(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return pairs of n sources in a chain, and of n more that all want its first object."""
    links = np.arange(n - 1)
    rows = np.concatenate([np.repeat(links, 2), [n - 1], n + np.arange(n)])
    columns = np.concatenate([np.column_stack([links, links + 1]).ravel(), [n - 1], np.zeros(n, np.int64)])
    return rows, columns, np.zeros(len(rows)), 2 * n


def test_a_long_contested_chain_costs_no_more_than_its_links_times_its_contestants() -> None:
    n = 4000
    rows, columns, scores, n_sources = contested_chain(n)
    match = match_at_least_cost(rows, columns, scores, n_sources, 1.0)
    assert np.flatnonzero(match >= 0).tolist() == list(range(n))


def test_a_search_that_goes_on_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 1_000)
    rows, columns, scores, n_sources = contested_chain(100)
    with pytest.raises(EntangledSourcesError, match="200 sources contest 100 objects"):
        match_at_least_cost(rows, columns, scores, n_sources, 1.0)
    assert (match_at_least_cost(*contested_chain(10), 1.0) >= 0).sum() == 10


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 5)), max_size=80), st.integers(1, 5))
def test_the_nearest_comes_first_also_after_others_came_nearer(steps: list[tuple[int, int]], pops: int) -> None:
    heap, place = new_heap(20)
    distance, waiting, n = np.full(20, np.inf), set[int](), 0
    for column, length in steps:
        if length < distance[column]:
            distance[column] = length
            waiting.add(column)
            n = push_or_move_up(heap, place, n, column, distance)
        elif len(waiting) > pops:
            nearest = min(waiting, key=lambda j: (distance[j], j))
            assert heap[0] == nearest
            waiting.remove(nearest)
            n = pop_nearest(heap, place, n, distance)
            assert place[nearest] == -1
            distance[nearest] = np.inf
        assert n == len(waiting)
        assert {int(j) for j in heap[:n]} == waiting
