"""States that are in no cache: folded from what the APDB holds since their checkpoints."""

from dataclasses import dataclass, field

import numpy as np

from stream_assoc.core.model.states import ObjectHistories, ObjectStates
from stream_assoc.core.model.types import BoolArray, IntArray
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
    place, has = _places(kept.diaObjectId, diaObjectId)
    after = np.where(has, kept.validityStartMjdTai[place], -np.inf)
    histories = session.load_histories(diaObjectId, after=after)
    exists = np.isin(diaObjectId, histories.diaObjectId)
    before = _before(histories, kept.take(place[has & exists]), has[exists], calculator)
    states = calculator.rebuild(histories, before)
    if not calculator.folds_forced:
        return states
    counted = session.load_forced_points(states.diaObjectId, after[exists], states.validityStartMjdTai)
    return calculator.fold_forced(states, counted)


def _kept(session: SessionReader, policy: CheckpointPolicy | None, diaObjectId: IntArray) -> ObjectStates | None:
    """Return the states that are kept of these objects, ascending; `None` if there are none."""
    if policy is None or not policy.every:
        return None
    states = policy.codec.unpack(session.load_checkpoints(diaObjectId, policy.codec.layout)).states
    return states.take(np.argsort(states.diaObjectId)) if len(states) else None


def _places(ids: IntArray, wanted: IntArray) -> tuple[IntArray, BoolArray]:
    """Return where each wanted id is among some that ascend, and whether it is there; elsewhere the place is any."""
    place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return place, ids[place] == wanted


def _before(
    histories: ObjectHistories, kept: ObjectStates, has: BoolArray, calculator: StatisticsCalculator
) -> ObjectStates:
    """Return the earlier state of each object of the histories: the one that is kept, or none."""
    rows = np.flatnonzero(~has)
    fresh = calculator.new_states(
        histories.diaObjectId[rows], histories.raErr[rows], histories.decErr[rows], histories.ra_dec_Cov[rows]
    )
    order = np.argsort(np.concatenate([np.flatnonzero(has), rows]))
    return ObjectStates.concatenate([kept, fresh]).take(order)
