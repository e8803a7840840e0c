"""Who owns each source of a batch: a solar-system object, a DIAObject, a new one, or nobody."""

from dataclasses import dataclass

import numpy as np

from stream_assoc.core.association.associator import Association, Associator, SourcePositions
from stream_assoc.core.association.new_objects import NewObjectConfig, TooManyNewObjectsError, eligible
from stream_assoc.core.association.solar_system import SolarSystemAssociator
from stream_assoc.core.model.batch import Batch, SolarSystemObjects
from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.types import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class BatchMatches:
    """The owner of every source of a batch.

    Attributes
    ----------
    objects : `TiledObjects`
        The catalogue that was searched.
    diaObjectId, ssObjectId : `numpy.ndarray` [int64], shape (n_sources,)
        The owner; 0 where there is none. A source has at most one owner.
    associated : `numpy.ndarray` [int64]
        Sources that joined an existing object, ascending.
    object_row : `numpy.ndarray` [int64], shape (n_sources,)
        The row of that object in ``objects``, or -1.
    new : `numpy.ndarray` [int64]
        Sources that become new objects, ascending.
    stored : `numpy.ndarray` [int64]
        Sources that have an owner, ascending: those the APDB keeps.
    n_marginal : `int`
        Sources without an owner that are not good enough to become one.
    n_dropped : `int`
        Sources without a usable position.
    n_dropped_predictions : `int`
        Predicted solar-system objects that cannot be matched; see
        `~stream_assoc.core.model.batch.SolarSystemObjects.usable`.
    association : `Association`
        Candidates, separations, scores and margins behind ``associated``;
        its source rows are ``searched``.
    searched : `numpy.ndarray` [int64]
        Sources that were offered to the DIAObjects: usable, and no known
        solar-system object.
    """

    objects: TiledObjects
    diaObjectId: IntArray
    ssObjectId: IntArray
    associated: IntArray
    object_row: IntArray
    new: IntArray
    stored: IntArray
    n_marginal: int
    n_dropped: int
    n_dropped_predictions: int
    association: Association
    searched: IntArray


@dataclass(frozen=True, slots=True)
class AssociationAlgorithms:
    """The algorithms that assign sources to objects, in the order they are asked.

    With ``keep_solar_system_ids`` a source keeps the solar-system object that its producer gave it.
    """

    solar_system: SolarSystemAssociator
    associator: Associator
    new_objects: NewObjectConfig
    keep_solar_system_ids: bool = True


def match_sources(
    batch: Batch,
    usable: BoolArray,
    objects: TiledObjects,
    algorithms: AssociationAlgorithms,
    *,
    unlimited: bool = False,
    new_ids: IntArray,
) -> BatchMatches:
    """Decide the owner of every source of a batch.

    Sources whose producer says which solar-system object they are belong to
    it, and predicted solar-system objects claim theirs next, so that a moving
    object never drags a DIAObject along. The others are associated with the
    DIAObjects, and what is left becomes new objects where it is good enough.

    Parameters
    ----------
    batch : `Batch`
        The sources.
    usable : `numpy.ndarray` [bool], shape (n_sources,)
        Sources that have a position.
    objects : `TiledObjects`
        Every DIAObject within reach.
    algorithms : `AssociationAlgorithms`
        The algorithms.
    unlimited : `bool`, optional
        Whether any number of new objects is accepted, whatever the settings say.
    new_ids : `numpy.ndarray` [int64], shape (n_sources,)
        The diaObjectId of an object that each source would create.

    Raises
    ------
    TooManyNewObjectsError
        If more objects would be created than the settings allow.
    """
    n = len(batch)
    positions = SourcePositions(*(batch.column(name) for name in ("ra", "dec", "raErr", "decErr")))

    candidates = np.flatnonzero(usable)
    moving = batch.solar_system_objects.usable()
    ssObjectId = _solar_system_owners(batch, positions, candidates, moving, algorithms)
    solar = np.flatnonzero(ssObjectId)

    searched = np.flatnonzero(usable & (ssObjectId == 0))
    association = algorithms.associator.associate(positions.take(searched), objects.positions)
    object_row = np.full(n, -1, np.int64)
    object_row[searched] = association.object_row
    associated = np.flatnonzero(object_row >= 0)

    unmatched = searched[object_row[searched] < 0]
    new = _creators(batch, unmatched, algorithms.new_objects, unlimited=unlimited)

    diaObjectId = np.zeros(n, np.int64)
    diaObjectId[associated] = objects.positions.diaObjectId[object_row[associated]]
    diaObjectId[new] = new_ids[new]
    return BatchMatches(
        objects=objects,
        diaObjectId=diaObjectId,
        ssObjectId=ssObjectId,
        associated=associated,
        object_row=object_row,
        new=new,
        stored=np.sort(np.concatenate([solar, associated, new])),
        n_marginal=len(unmatched) - len(new),
        n_dropped=n - len(candidates),
        n_dropped_predictions=len(batch.solar_system_objects) - len(moving),
        association=association,
        searched=searched,
    )


def _solar_system_owners(
    batch: Batch,
    positions: SourcePositions,
    candidates: IntArray,
    moving: SolarSystemObjects,
    algorithms: AssociationAlgorithms,
) -> IntArray:
    """Return the solar-system object of every source, 0 for none.

    What a producer says goes before what is predicted: such a source is not
    offered, and a prediction of its object claims no other one.
    """
    owner = np.zeros(len(batch), np.int64)
    if algorithms.keep_solar_system_ids:
        owner[candidates] = batch.ssObjectId[candidates]
    offered = candidates[owner[candidates] == 0]
    expected = moving.without(owner)
    row = algorithms.solar_system.associate(positions.take(offered), expected)
    owner[offered[row >= 0]] = expected.ssObjectId[row[row >= 0]]
    return owner


def _creators(batch: Batch, unmatched: IntArray, config: NewObjectConfig, *, unlimited: bool) -> IntArray:
    """Return those of the unmatched sources that are good enough to create an object."""
    new = unmatched[eligible(batch.diaSources, config)[unmatched]]
    limit = config.max_new_dia_objects
    if limit is not None and len(new) > limit and not unlimited:
        raise TooManyNewObjectsError(
            f"visit {batch.id.visit} detector {batch.id.detector} would create {len(new)} DIAObjects, more than "
            f"new_objects.max_new_dia_objects = {limit}; a bad subtraction is the usual cause. "
            "Look at the image; if the objects are real, release the dead letter with `stream-assoc dlq release`, "
            "or raise the limit"
        )
    return new
