"""Write checkpoints of the fold where they are missing, or have been left far behind."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import IntArray
from stream_assoc.exceptions import FatalError, StreamAssocError
from stream_assoc.pipeline.checkpoints import CheckpointPolicy
from stream_assoc.pipeline.cold_states import cold_states
from stream_assoc.tools.maintenance.stores import Piece, Stores, holding, piecewise


class NoCheckpointsError(FatalError, StreamAssocError):
    """Checkpoints were asked for, but the settings want none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How much one piece of work, or several together, has done.

    Attributes
    ----------
    tiles, states : `int`
        How many were looked at.
    written : `int`
        States of which a checkpoint was written.
    """

    tiles: int = 0
    states: int = 0
    written: int = 0

    def __add__(self, other: "Kept") -> "Kept":
        return Kept(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def keep(stores: Stores, tiles: IntArray) -> Iterator[Kept]:
    """Write a checkpoint of each object that has had as many sources since its last as the settings say.

    A batch writes them too, each object's when it comes to it. This is for an
    APDB that has grown without, so that the first visit of a field does not have to.

    Parameters
    ----------
    stores : `Stores`
        The APDB to read and write.
    tiles : `numpy.ndarray` [int64]
        Sorted.

    Yields
    ------
    kept : `Kept`
        Of each piece, when it is finished. What an interrupted run has written stays.

    Raises
    ------
    NoCheckpointsError
        If ``statistics.checkpoint_every`` is 0.
    TilesChangedError
        If another program has changed one of the tiles just then.
    ApdbUnavailableError
        If the APDB became unavailable.
    """
    policy = stores.checkpoints
    if policy is None or not policy.every:
        raise NoCheckpointsError("statistics.checkpoint_every is 0, so no checkpoint would be used; set it above 0")
    for some in piecewise(tiles, stores.partition):
        with holding(stores, some) as piece:
            work = (_keep(stores, piece, objects, policy) for objects in _portions(piece))
            yield sum(work, Kept(tiles=len(some)))


def _portions(piece: Piece) -> Iterator[ObjectPositions]:
    """Return the objects, but for those whose versions are out of date by what another program did."""
    for objects in piece.portions():
        yield objects.take(~np.isin(objects.diaObjectId, piece.changed))


def _keep(stores: Stores, piece: Piece, objects: ObjectPositions, policy: CheckpointPolicy) -> Kept:
    folded = cold_states(piece.session, stores.calculator, policy, objects)
    due = np.flatnonzero(folded.n_folded >= policy.every)
    if len(due):
        piece.session.keep(policy.codec.pack(folded.states.take(due)))
    return Kept(states=len(folded.states), written=len(due))
