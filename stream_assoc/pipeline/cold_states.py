"""States that are in no cache: folded from what the APDB holds since their checkpoints."""

from dataclasses import dataclass, field

import numpy as np

from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.checkpoints import CheckpointPolicy
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


def cold_states(
    session: SessionReader, calculator: StatisticsCalculator, policy: CheckpointPolicy | None, diaObjectId: IntArray
) -> ObjectStates:
    """Return the states of these objects, folded onto their checkpoints from what the APDB holds of them since.

    Parameters
    ----------
    session : `SessionReader`
    calculator : `StatisticsCalculator`
    policy : `CheckpointPolicy` or `None`
        `None` to fold everything.
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
        Each once.

    Returns
    -------
    states : `ObjectStates`
        Of those that have a version, in their order; the same bits as `rebuilt_states`.
    """
    kept = _kept(session, policy, diaObjectId)
    if kept is None:
        return rebuilt_states(session, calculator, diaObjectId)
    # Two questions, because they ask a database for two plans: a few rows each here, all rows of some there.
    parts = [_folded_on(kept, session, calculator)]
    without = ~np.isin(diaObjectId, kept.diaObjectId)
    if without.any():
        parts.append(rebuilt_states(session, calculator, diaObjectId[without]))
    return _in_order(ObjectStates.concatenate(parts), diaObjectId)


def _kept(session: SessionReader, policy: CheckpointPolicy | None, diaObjectId: IntArray) -> ObjectStates | None:
    """Return the states that are kept of these objects; `None` if there are none."""
    if policy is None or not policy.every:
        return None
    states = policy.codec.unpack(session.load_checkpoints(diaObjectId, policy.codec.layout)).states
    return states if len(states) else None


def _folded_on(kept: ObjectStates, session: SessionReader, calculator: StatisticsCalculator) -> ObjectStates:
    """Return these states with all that came after them; those of objects that have no version are left out."""
    histories = session.load_histories(kept.diaObjectId, after=kept.validityStartMjdTai)
    kept = kept.take(np.flatnonzero(np.isin(kept.diaObjectId, histories.diaObjectId)))
    states = calculator.rebuild(histories, kept)
    if not calculator.folds_forced:
        return states
    counted = session.load_forced_points(states.diaObjectId, kept.validityStartMjdTai, states.validityStartMjdTai)
    return calculator.fold_forced(states, counted)


def _in_order(states: ObjectStates, diaObjectId: IntArray) -> ObjectStates:
    """Return the states in the order of these ids, of which some may have none."""
    order = np.argsort(states.diaObjectId)
    wanted = diaObjectId[np.isin(diaObjectId, states.diaObjectId)]
    return states.take(order[np.searchsorted(states.diaObjectId[order], wanted)])
