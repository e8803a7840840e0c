"""What `make test` watches: that no change makes the work of a visit grow with more than its size.

Calls and memory are counted, so they are the same on every machine and under
any load. Loops in compiled code can only be timed: the processor's time, the
median of pairs taken in turns, against limits of two to ten times what was
measured on two busy cores. Single pairs spread there by a third.
"""

import time

from benchmarks.counted import calls_of, peak_bytes_of
from benchmarks.pipeline_services import visit
from benchmarks.side_by_side import paired_ratio
from benchmarks.skies import Size
from benchmarks.test_compute import long_and_short_updates, ours_and_tree

ROUNDS = 7

LARGER = 4
"""How many times as many sources, objects and square degrees the large visit has."""

COMPUTE_LIMIT = 60.0
"""Measured: 20 to 27."""

GROWTH_LIMIT = 2.0
"""Measured: 0.8 to 1.15. What grows with the square takes four times as long a source."""

CANDIDATES_LIMIT = 0.25
"""Measured: 0.04 to 0.05."""

HISTORY_LIMIT = 10.0
"""Measured: 0.7 to 1.2. What goes through all points of an object has a hundred times as many to go through."""


def test_computing_a_visit_against_decoding_it() -> None:
    one = visit(Size(5_000, 100_000))
    assert paired_ratio(ROUNDS, time.thread_time, one.compute, one.decode_only) < COMPUTE_LIMIT


def test_cost_of_a_source_in_a_large_visit() -> None:
    small, large = visit(Size(2_500, 50_000)), visit(Size(LARGER * 2_500, LARGER * 50_000))
    assert calls_of(large.compute) <= LARGER * calls_of(small.compute)
    assert peak_bytes_of(large.compute) <= 1.1 * LARGER * peak_bytes_of(small.compute)
    assert paired_ratio(ROUNDS, time.thread_time, large.compute, small.compute) < LARGER * GROWTH_LIMIT


def test_candidates_against_a_tree() -> None:
    ours, tree = ours_and_tree(Size(10_000, 200_000))
    assert paired_ratio(ROUNDS, time.thread_time, ours, tree) < CANDIDATES_LIMIT


def test_accumulators_of_long_histories() -> None:
    short, long = long_and_short_updates()
    assert calls_of(long) == calls_of(short)
    assert peak_bytes_of(long) <= 1.1 * peak_bytes_of(short)
    assert paired_ratio(4 * ROUNDS, time.thread_time, long, short) < HISTORY_LIMIT
