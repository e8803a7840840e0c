"""Checkpoints of the fold: an object whose state is in no cache is not folded from all of its sources.

The APDB keeps a state of some version of an object. What came later is folded
onto it, which gives the very bits of a whole fold: a source that is added has a
later processing time than every version before it. Whoever takes a source away,
or adds an earlier one, deletes the checkpoint in the same transaction.

A checkpoint is written when an object's number of sources comes to its own turn
among ``every``: drawn from its id, so that few of the objects of a visit have
their turn together, and no one has to be remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_assoc.core.model.states import Checkpoints, ObjectStates
from stream_assoc.core.model.types import BoolArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.ports.checkpoints import StateCodec

_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Of Fibonacci hashing: ids that follow each other come to have turns far apart."""


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

    def of(self, states: Sequence[ObjectStates], calculator: StatisticsCalculator) -> list[Checkpoints]:
        """Return the checkpoints to write of each batch of a transaction; of an object the latest only.

        Parameters
        ----------
        states : sequence of `ObjectStates`
            Those that each batch made, in the order of the batches.
        calculator : `StatisticsCalculator`
            Counts their sources.
        """
        chosen: list[Checkpoints] = []
        later = np.empty(0, np.int64)
        for made in reversed(states):
            due = np.flatnonzero(self._is_due(made, calculator) & ~np.isin(made.diaObjectId, later))
            chosen.append(self.codec.pack(made.take(due)) if len(due) else Checkpoints.none())
            later = np.concatenate([later, made.diaObjectId[due]])
        return chosen[::-1]

    def _is_due(self, states: ObjectStates, calculator: StatisticsCalculator) -> BoolArray:
        if not self.every or not len(states):
            return np.zeros(len(states), np.bool_)
        n_sources = calculator.positions(states).nDiaSources
        turns = (states.diaObjectId.view(np.uint64) * _MIX >> np.uint64(32)).astype(np.int64)
        return np.asarray((n_sources >= self.every) & ((n_sources + turns) % self.every == 0))
