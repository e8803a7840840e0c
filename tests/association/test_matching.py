import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from stream_assoc.association.matching import match_at_least_cost


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
