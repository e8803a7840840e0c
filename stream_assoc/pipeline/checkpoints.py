"""Checkpoints of the fold: an object whose state is in no cache is not folded from all of its sources.

The APDB keeps a state of some version of an object. What came later is folded
onto it, which gives the very bits of a whole fold: a source that is added has a
later processing time than every version before it. Whoever takes a source away,
or adds an earlier one, deletes the checkpoint in the same transaction.

A checkpoint is written when an object's number of sources comes to its own turn
among ``every``: drawn from its id, so that few of the objects of a visit have
their turn together, and no one has to be remembered. An object that had twice as
many folded is overdue, because its checkpoint was deleted or its history is older
than checkpoints are; it has its turn at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.states import Checkpoints, ObjectStates
from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.ports.checkpoints import StateCodec

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
"""Of Fibonacci hashing: ids that follow each other come to have turns far apart."""

FIRST_AT: Final = 8
"""Sources of an object that has its first turn, or more: reading a checkpoint costs as much as folding six."""


@dataclass(frozen=True, slots=True)
class CheckpointPolicy:
    """Which states become checkpoints, and how they are packed.

    Attributes
    ----------
    codec : `StateCodec`
    every : `int`
        An object's state is kept once in so many sources; 0 for never.
    """

    codec: StateCodec
    every: int

    def of(
        self, states: Sequence[ObjectStates], calculator: StatisticsCalculator, overdue: IntArray
    ) -> list[Checkpoints]:
        """Return the checkpoints to write of each batch of a transaction; of an object the latest only.

        Parameters
        ----------
        states : sequence of `ObjectStates`
            Those that each batch made, in the order of the batches.
        calculator : `StatisticsCalculator`
            Counts their sources.
        overdue : `numpy.ndarray` [int64]
            Objects that have their turn whatever their number is.
        """
        chosen: list[Checkpoints] = []
        later = np.empty(0, np.int64)
        for made in reversed(states):
            is_due = self._has_turn(made, calculator) | np.isin(made.diaObjectId, overdue)
            due = np.flatnonzero(is_due & ~np.isin(made.diaObjectId, later))
            chosen.append(self.codec.pack(made.take(due)) if len(due) else Checkpoints.none())
            later = np.concatenate([later, made.diaObjectId[due]])
        return chosen[::-1]

    def is_overdue(self, n_folded: IntArray) -> BoolArray:
        """Tell which objects have missed their turn, by how many sources of each were folded.

        The first turn comes before the object has so many.
        """
        return (n_folded >= 2 * self.every) & (self.every > 0)

    def _has_turn(self, states: ObjectStates, calculator: StatisticsCalculator) -> BoolArray:
        if not self.every or not len(states):
            return np.zeros(len(states), np.bool_)
        n = n_sources(states, calculator)
        turns = (states.diaObjectId.view(np.uint64) * _MIX >> np.uint64(32)).astype(np.int64)
        return np.asarray((n >= min(self.every, FIRST_AT)) & ((n + turns) % self.every == 0))


def n_sources(states: ObjectStates, calculator: StatisticsCalculator) -> IntArray:
    """Return the number of sources of each state."""
    return calculator.positions(states).nDiaSources.astype(np.int64)
