"""What `make test` watches: ratios of processor time that no change may make much worse.

Each limit is two to three times what was measured when it was set, so that a
busy machine or another processor does not matter, and a loop that got slow by
an order does.
"""

import time

from benchmarks.rooms import visit
from benchmarks.side_by_side import in_turns
from benchmarks.skies import Size
from benchmarks.test_compute import long_and_short_updates, ours_and_tree

ROUNDS = 5

COMPUTE_LIMIT = 45.0
GROWTH_LIMIT = 1.3
CANDIDATES_LIMIT = 0.12
HISTORY_LIMIT = 2.0


def test_computing_a_visit_against_decoding_it() -> None:
    one = visit(Size(5_000, 100_000))
    timed = in_turns(ROUNDS, time.thread_time, compute=one.compute, decode=one.decode_only)
    assert timed.ratio("compute", "decode") < COMPUTE_LIMIT


def test_cost_of_a_source_in_a_large_visit() -> None:
    small, large = visit(Size(2_500, 50_000)), visit(Size(10_000, 200_000))
    timed = in_turns(ROUNDS, time.thread_time, small=small.compute, large=large.compute)
    assert timed.ratio("large", "small") < 4.0 * GROWTH_LIMIT


def test_candidates_against_a_tree() -> None:
    ours, tree = ours_and_tree(Size(10_000, 200_000))
    assert in_turns(ROUNDS, time.thread_time, ours=ours, tree=tree).ratio("ours", "tree") < CANDIDATES_LIMIT


def test_accumulators_of_long_histories() -> None:
    short, long = long_and_short_updates()
    assert in_turns(4 * ROUNDS, time.thread_time, short=short, long=long).ratio("long", "short") < HISTORY_LIMIT
