"""Which objects are folded anew: all, or the same few whenever it is asked."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.types import IntArray

_GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_ALL_BITS: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many objects to choose.

    Attributes
    ----------
    n_objects : `int` or `None`
        The most to choose; `None`: all.
    seed : `int`
        Another chooses other objects.
    """

    n_objects: int | None = 10_000
    seed: int = 0


def smallest(kept: IntArray, ids: IntArray, sampling: Sampling) -> IntArray:
    """Return the sample of some ids that are seen now and those kept from before.

    Called for one piece of a stream after the other it gives a sample of all of
    it, the same in whatever order and pieces they come: the ids with the
    smallest hashes. Each is as likely as any other, and no more are kept in memory.
    """
    both = np.union1d(kept, ids)
    if sampling.n_objects is None or len(both) <= sampling.n_objects:
        return both
    chosen = np.argpartition(_hashed(both, sampling.seed), sampling.n_objects)[: sampling.n_objects]
    return np.sort(both[chosen])


def _hashed(ids: IntArray, seed: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """Return the hashes of ids by SplitMix64 (Steele et al. 2014), which never gives two ids the same."""
    mixed = ids.astype(np.uint64) + np.uint64((seed + 1) * _GOLDEN & _ALL_BITS)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
