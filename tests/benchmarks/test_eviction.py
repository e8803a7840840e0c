"""The simulation of a cache against caches that keep an order."""

import functools
import itertools
import operator
from collections import OrderedDict

import numpy as np
import pytest

from benchmarks.eviction import Accesses, Policy, found_by_samples, lru_distances


@pytest.fixture(scope="module")
def accesses() -> Accesses:
    generator = np.random.default_rng(5)
    item = np.minimum(generator.geometric(0.05, 4_000), 60) - 1
    return Accesses(item, np.arange(4_000), generator.uniform(1.0, 9.0, 60))


def found_in_order(accesses: Accesses, capacity: float) -> list[bool]:
    """Return whether each entry fits together with all that were asked for since it was."""
    latest: OrderedDict[int, None] = OrderedDict()
    found = []
    for one in accesses.item.tolist():
        since = itertools.takewhile(functools.partial(operator.ne, one), reversed(latest))
        needed = accesses.size[one] + sum(accesses.size[other] for other in since)
        found.append(one in latest and needed <= capacity)
        latest[one] = None
        latest.move_to_end(one)
    return found


@pytest.mark.parametrize("capacity", [5.0, 40.0, 120.0, 1_000.0])
def test_distances_are_those_of_lru(accesses: Accesses, capacity: float) -> None:
    expected = found_in_order(accesses, capacity)
    assert (lru_distances(accesses) <= capacity).tolist() == expected


@pytest.mark.parametrize("policy", Policy)
def test_with_room_for_everything_only_first_accesses_miss(accesses: Accesses, policy: Policy) -> None:
    found = found_by_samples(accesses, accesses.size.sum(), policy)
    assert np.count_nonzero(~found) == len(np.unique(accesses.item))


def test_many_samples_are_nearly_lru() -> None:
    item = np.random.default_rng(6).geometric(0.002, 60_000) - 1
    alike = Accesses(item, np.arange(len(item)), np.ones(item.max() + 1))
    exact = np.mean(lru_distances(alike) <= 500.0)
    few, many = (np.mean(found_by_samples(alike, 500.0, Policy.LRU, samples=samples)) for samples in (1, 100))
    assert abs(many - exact) < 0.01
    assert few < many


def test_counters_that_last_keep_what_is_asked_for_often() -> None:
    # Two hundred entries again and again, and between them others once each, more than fit.
    often = np.arange(200)
    item = np.concatenate([np.append(often, 200 + 400 * turn + np.arange(400)) for turn in range(100)])
    scan = Accesses(item, 60 * np.arange(len(item)), np.ones(item.max() + 1))
    rates = {decay: found_by_samples(scan, 400.0, Policy.LFU, decay)[item < 200].mean() for decay in (1, 10**6)}
    assert rates[10**6] > 0.9
    assert rates[1] < 0.6
