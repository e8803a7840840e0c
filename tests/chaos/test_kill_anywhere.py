"""The daemon is killed with SIGKILL, at every step and at random instants: the night comes out the same.

The number of random kills is in the environment: STREAM_ASSOC_TEST_CHAOS_KILLS (``make chaos``).
"""

import os
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from stream_assoc.failpoints import FAILPOINTS
from tests.chaos.nights import Night, batches
from tests.chaos.outcome import Outcome, assert_nothing_shows, empty_cache

pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.long]

N_KILLS = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_KILLS", "4"))
"""On each of the databases."""

SECONDS_AT_WORK = 1.5
"""A life that is ended at random works for up to so long: some micro-batches."""


def test_killed_at_every_step(interrupted: Night, expected: Outcome) -> None:
    random = np.random.default_rng(8)
    for failpoint in FAILPOINTS:
        # At the first micro-batch of a life, which the one before may have left half done, or at a fresh one.
        interrupted.die_at(failpoint, count=int(random.integers(1, 3)))
    assert 0 < interrupted.n_counted() < len(batches())
    interrupted.finish()
    assert_nothing_shows(interrupted.outcome(), expected)


def test_killed_at_random_instants(make_night: Callable[[], Night], expected: Outcome) -> None:
    random = np.random.default_rng(9)
    found = Counter[str]()
    while found.total() < N_KILLS:
        night = make_night()
        seconds_to_work = night.die_when_a_batch_counts()
        found[left_by(night)] += 1
        while found.total() < N_KILLS and night.n_counted() < len(batches()):
            night.die_after(random.uniform(0.7 * seconds_to_work, seconds_to_work + SECONDS_AT_WORK))
            found[left_by(night)] += 1
            if random.random() < 0.25:
                empty_cache(night.deployment)
        night.finish()
        assert_nothing_shows(night.outcome(), expected)
    print(f"kills {dict(found)}, {seconds_to_work:.1f} s from the last start to its first batch")


def left_by(night: Night) -> str:
    """Tell between which commits the last life ended."""
    return "between the commits" if night.n_in_outbox() else "elsewhere"
