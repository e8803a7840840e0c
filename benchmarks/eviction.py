"""What a cache of limited memory still holds: exact LRU for all sizes at once, and by samples as Valkey evicts.

Valkey keeps no order of its keys. To make room it looks at ``maxmemory-samples`` keys drawn by chance, remembers the
best 16 candidates it has ever seen, and evicts the best of them (its `evict.c`). The clock of LRU counts seconds;
LFU has a logarithmic counter that loses one every ``lfu-decay-time`` minutes. The same is done here, in numbers.
"""

from dataclasses import dataclass
from enum import IntEnum

import numba
import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray

POOL = 16
SAMPLES = 5
LFU_FIRST = 5
LFU_LOG_FACTOR = 10
LFU_MOST = 255


class Policy(IntEnum):
    """A ``maxmemory-policy``."""

    LRU = 0
    LFU = 1
    RANDOM = 2


@dataclass(frozen=True, slots=True)
class Accesses:
    """Which entry is asked for when, and put there if it is missing.

    Attributes
    ----------
    item : `numpy.ndarray` [int64], shape (n,)
    second : `numpy.ndarray` [int64], shape (n,)
    size : `numpy.ndarray` [float64], shape (n_items,)
        Bytes of each entry.
    """

    item: IntArray
    second: IntArray
    size: FloatArray


def lru_distances(accesses: Accesses) -> FloatArray:
    """Return the least memory with which exact LRU finds each access, bytes; infinite for the first of an entry.

    It is the size of everything that was asked for since, the entry itself included.
    """
    distances: FloatArray = _lru_distances(accesses.item, accesses.size)
    return distances


@numba.njit(cache=True)
def _lru_distances(item: IntArray, size: FloatArray) -> FloatArray:
    n = len(item)
    tree = np.zeros(n + 1)
    last = np.full(len(size), -1, np.int64)
    distances = np.full(n, np.inf)
    total = 0.0
    for at in range(n):
        one = item[at]
        if last[one] >= 0:
            before, place = 0.0, last[one]
            # What was last asked for before this entry was.
            while place > 0:
                before += tree[place]
                place -= place & -place
            distances[at] = total - before
            _add(tree, last[one] + 1, -size[one])
            total -= size[one]
        _add(tree, at + 1, size[one])
        total += size[one]
        last[one] = at
    return distances


@numba.njit(cache=True)
def _add(tree: FloatArray, place: int, value: float) -> None:
    while place < len(tree):
        tree[place] += value
        place += place & -place


def found_by_samples(
    accesses: Accesses, capacity: float, policy: Policy, decay_minutes: int = 1, samples: int = SAMPLES
) -> BoolArray:
    """Return which accesses Valkey finds with so much memory.

    Parameters
    ----------
    accesses : `Accesses`
    capacity : `float`
        ``maxmemory``, bytes.
    policy : `Policy`
    decay_minutes : `int`, optional
        ``lfu-decay-time``.
    samples : `int`, optional
        ``maxmemory-samples``.
    """
    found: BoolArray = _found(
        accesses.item, accesses.second, accesses.size, capacity, int(policy), 60 * decay_minutes, samples
    )
    return found


@numba.njit(cache=True)
def _found(  # noqa: PLR0913, PLR0917
    item: IntArray,
    second: IntArray,
    size: FloatArray,
    capacity: float,
    policy: int,
    decay_seconds: int,
    samples: int,
) -> BoolArray:
    np.random.seed(1)  # noqa: NPY002 - numba
    n_items = len(size)
    held = np.empty(n_items, np.int64)
    place = np.full(n_items, -1, np.int64)
    touched = np.zeros(n_items, np.int64)
    counter = np.zeros(n_items, np.int64)
    pool_item = np.full(POOL, -1, np.int64)
    pool_idle = np.full(POOL, -1, np.int64)
    found = np.zeros(len(item), np.bool_)
    n_held, used = 0, 0.0
    for at in range(len(item)):
        one, now = item[at], second[at]
        if place[one] >= 0:
            found[at] = True
            _touch(one, now, touched, counter, decay_seconds)
            continue
        while used > capacity and n_held:
            victim = _victim(
                policy, samples, now, held, n_held, place, touched, counter, decay_seconds, pool_item, pool_idle
            )
            n_held -= 1
            moved = held[n_held]
            held[place[victim]], place[moved] = moved, place[victim]
            place[victim] = -1
            used -= size[victim]
        held[n_held], place[one] = one, n_held
        touched[one], counter[one] = now, LFU_FIRST
        n_held += 1
        used += size[one]
    return found


@numba.njit(cache=True)
def _touch(one: int, now: int, touched: IntArray, counter: IntArray, decay_seconds: int) -> None:
    count = max(0, counter[one] - (now - touched[one]) // decay_seconds)
    if count < LFU_MOST and np.random.random() < 1.0 / (max(0, count - LFU_FIRST) * LFU_LOG_FACTOR + 1):  # noqa: NPY002 - numba
        count += 1
    touched[one], counter[one] = now, count


@numba.njit(cache=True)
def _victim(  # noqa: PLR0913, PLR0917
    policy: int,
    samples: int,
    now: int,
    held: IntArray,
    n_held: int,
    place: IntArray,
    touched: IntArray,
    counter: IntArray,
    decay_seconds: int,
    pool_item: IntArray,
    pool_idle: IntArray,
) -> int:
    if policy == Policy.RANDOM:
        return int(held[np.random.randint(n_held)])  # noqa: NPY002 - numba
    while True:
        for _ in range(samples):
            one = held[np.random.randint(n_held)]  # noqa: NPY002 - numba
            if policy == Policy.LRU:
                idle = now - touched[one]
            else:
                idle = LFU_MOST - max(0, counter[one] - (now - touched[one]) // decay_seconds)
            _offer(one, idle, pool_item, pool_idle)
        for slot in range(POOL - 1, -1, -1):
            one = pool_item[slot]
            pool_item[slot], pool_idle[slot] = -1, -1
            if one >= 0 and place[one] >= 0:
                _close_gaps(pool_item, pool_idle)
                return int(one)


@numba.njit(cache=True)
def _offer(one: int, idle: int, pool_item: IntArray, pool_idle: IntArray) -> None:
    """Insert a candidate into the pool, which ascends; the empty slots come first, and the least gives way."""
    if idle < pool_idle[0]:
        return
    slot = 0
    while slot + 1 < POOL and pool_idle[slot + 1] < idle:
        pool_item[slot], pool_idle[slot] = pool_item[slot + 1], pool_idle[slot + 1]
        slot += 1
    pool_item[slot], pool_idle[slot] = one, idle


@numba.njit(cache=True)
def _close_gaps(pool_item: IntArray, pool_idle: IntArray) -> None:
    """Move what is left of the pool to its end, in order."""
    into = POOL - 1
    for slot in range(POOL - 1, -1, -1):
        if pool_item[slot] >= 0:
            pool_item[into], pool_idle[into] = pool_item[slot], pool_idle[slot]
            if into != slot:
                pool_item[slot], pool_idle[slot] = -1, -1
            into -= 1
