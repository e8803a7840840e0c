"""States that are in no cache: folded from what the APDB holds since their checkpoints."""

from dataclasses import dataclass, field

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import ObjectHistories, ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.checkpoints import CheckpointPolicy, n_sources
from stream_assoc.pipeline.forced import rebuilt_states
from stream_assoc.pipeline.ports.reader import SessionReader


@dataclass(frozen=True, slots=True)
class ColdStates:
    """Which states of a session are in no cache that counts, and what they are folded onto.

    Attributes
    ----------
    changed : `numpy.ndarray` [int64]
        Objects whose cached states are out of date: another program changed them.
    policy : `CheckpointPolicy` or `None`
        How states are kept in the APDB.
    """

    changed: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    policy: CheckpointPolicy | None = None


@dataclass(frozen=True, slots=True)
class Folded:
    """States, and how many sources had to be folded for each.

    Attributes
    ----------
    states : `ObjectStates`
    n_folded : `numpy.ndarray` [int64], shape (n,)
        Those since its checkpoint, all of them where there was none.
    """

    states: ObjectStates
    n_folded: IntArray


def cold_states(
    session: SessionReader,
    calculator: StatisticsCalculator,
    policy: CheckpointPolicy | None,
    objects: ObjectPositions,
) -> Folded:
    """Return the states of these objects, folded onto their checkpoints from what the APDB holds of them since.

    Parameters
    ----------
    session : `SessionReader`
    calculator : `StatisticsCalculator`
    policy : `CheckpointPolicy` or `None`
        `None` to fold everything.
    objects : `ObjectPositions`
        The current version of each object at the moment that the session sees: what was processed
        later than a checkpoint is folded onto it, and the state is said to be of this version.

    Returns
    -------
    folded : `Folded`
        In the order of the objects; the same bits as `rebuilt_states`.
    """
    kept = _kept(session, calculator, policy, objects.diaObjectId)
    # Two questions, because they ask a database for two plans: a few rows each here, all rows of some there.
    parts = []
    if len(kept):
        parts.append(_folded_on(kept, objects, session, calculator))
    without = objects.diaObjectId[~np.isin(objects.diaObjectId, kept.diaObjectId)]
    if len(without) or not parts:
        states = rebuilt_states(session, calculator, without)
        parts.append(Folded(states, n_sources(states, calculator)))
    if len(parts) == 1:
        return parts[0]
    states = ObjectStates.concatenate([part.states for part in parts])
    rows = _rows_of(objects.diaObjectId, states.diaObjectId)
    return Folded(states.take(rows), np.concatenate([part.n_folded for part in parts])[rows])


def _kept(
    session: SessionReader,
    calculator: StatisticsCalculator,
    policy: CheckpointPolicy | None,
    diaObjectId: IntArray,
) -> ObjectStates:
    """Return the states that are kept of these objects, in their order."""
    if policy is None or not policy.every:
        return calculator.no_states()
    states = policy.codec.unpack(session.load_checkpoints(diaObjectId, policy.codec.layout)).states
    return states.take(_rows_of(diaObjectId, states.diaObjectId))


def _folded_on(
    kept: ObjectStates, objects: ObjectPositions, session: SessionReader, calculator: StatisticsCalculator
) -> Folded:
    """Return these states with all that came after them."""
    later = session.load_later_points(kept.diaObjectId, kept.validityStartMjdTai)
    histories = ObjectHistories(
        diaObjectId=kept.diaObjectId,
        validityStartMjdTai=objects.validityStartMjdTai[_rows_of(kept.diaObjectId, objects.diaObjectId)],
        # Of the object's first source, which no later one changes.
        raErr=kept.raErr,
        decErr=kept.decErr,
        ra_dec_Cov=kept.ra_dec_Cov,
        offsets=later.offsets,
        points=later.points,
    )
    states = calculator.rebuild(histories, kept)
    if calculator.folds_forced:
        counted = session.load_forced_points(states.diaObjectId, kept.validityStartMjdTai, states.validityStartMjdTai)
        states = calculator.fold_forced(states, counted)
    return Folded(states, np.diff(later.offsets))


def _rows_of(wanted: IntArray, ids: IntArray) -> IntArray:
    """Return where the wanted are among the ids, each there once; those that are not there are left out."""
    order = np.argsort(ids)
    present = wanted[np.isin(wanted, ids)]
    return order[np.searchsorted(ids[order], present)]
