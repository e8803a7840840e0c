"""Forced photometry of a batch: its images, the objects to measure, and what the fluxes add to these objects.

A batch that names images has a session of its own, as a re-processing has.
Reading the images takes longer than everything else, so it is done before any
cell of the sky is held. All earlier measurements are then in the APDB.

An object's version counts the forced sources up to its own time
(``timeProcessedMjdTai`` not above ``validityStartMjdTai``). An object that a
visit measures but does not update gets no new version: its next version counts
the measurement. Therefore the processing time of a batch comes after the
versions of all objects it measures, and a version comes after all it counts.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.forced import ForcedPoints
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.batches import Arrival
from stream_assoc.pipeline.exceptions import ImageError
from stream_assoc.pipeline.ports.photometry import BatchImages, ForcedPhotometer, SelectionConfig
from stream_assoc.pipeline.ports.reader import SessionReader


def with_images(arrival: Arrival, photometer: ForcedPhotometer) -> Arrival:
    """Return a batch with the images that it names, or with the reason why it has none."""
    try:
        return replace(arrival, images=photometer.load(arrival.batch))
    except ImageError as error:
        return replace(arrival, image_error=error)


@dataclass(frozen=True, slots=True)
class Measurable:
    """A batch whose images can be measured on.

    Attributes
    ----------
    arrival : `Arrival`
    images : `BatchImages`
    others : `ObjectPositions`
        The objects around it that it does not update.
    """

    arrival: Arrival
    images: BatchImages
    others: ObjectPositions


def measure_forced(
    measurable: Measurable,
    updated: ObjectPositions,
    session: SessionReader,
    selection: SelectionConfig,
    timeProcessedMjdTai: float,
) -> pa.Table:
    """Measure the updated objects, and others that are worth it, on the images of a batch.

    Parameters
    ----------
    measurable : `Measurable`
        The batch, its images and the objects around it.
    updated : `ObjectPositions`
        The objects that it updates, as it leaves them.
    session : `SessionReader`
        Tells which objects have a good source.
    selection : `SelectionConfig`
        Which other objects are worth it.
    timeProcessedMjdTai : `float`
        Processing time of the batch, MJD TAI.

    Returns
    -------
    forced_sources : `pyarrow.Table`
        DiaForcedSource rows: the updated objects, and of the others those in
        the footprint and on the images that have a history.
    """
    arrival, images, others = measurable.arrival, measurable.images, measurable.others
    inside = arrival.region.footprint.contains(others.ra, others.dec)
    inside[inside] = images.contains(others.ra[inside], others.dec[inside])
    known = others.take(candidates(others, updated.diaObjectId, inside, selection))
    has_good_source = session.has_good_source(known.diaObjectId, selection.good_sources, without=arrival.batch.id)
    known = known.take(np.flatnonzero(has_good_source))
    return images.measure(arrival.batch, ObjectPositions.concatenate([updated, known]), timeProcessedMjdTai)


def candidates(objects: ObjectPositions, updated: IntArray, inside: BoolArray, config: SelectionConfig) -> BoolArray:
    """Tell which objects to measure if they have a good source.

    Parameters
    ----------
    objects : `ObjectPositions`
        Every object in the footprint as the batch leaves it.
    updated : `numpy.ndarray` [int64]
        diaObjectId of those that a source of this visit went to, new ones included.
    inside : `numpy.ndarray` [bool], shape (n_objects,)
        Which of them lie in the image.
    config : `SelectionConfig`

    Returns
    -------
    candidates : `numpy.ndarray` [bool], shape (n_objects,)
        Those in the image with sources enough. The updated ones are not among
        them: they are measured anyway, wherever they are.
    """
    known = (objects.nDiaSources >= config.history_threshold) & inside
    return np.asarray(known & ~np.isin(objects.diaObjectId, updated))


def uncounted_points(
    session: SessionReader, calculator: StatisticsCalculator, states: ObjectStates, batch: BatchId
) -> ForcedPoints:
    """Return the forced sources that these objects' versions do not count yet; none where nobody counts them.

    Those of the batch itself, of an earlier processing, never count again.
    """
    if not calculator.folds_forced or not len(states):
        return ForcedPoints.none()
    versions = states.validityStartMjdTai
    after = np.where(np.isnan(versions), -np.inf, versions)
    return session.load_forced_points(states.diaObjectId, after, np.full(len(after), np.inf), without=batch)


def rebuilt_states(
    session: SessionReader, calculator: StatisticsCalculator, diaObjectId: IntArray, without: BatchId | None = None
) -> ObjectStates:
    """Return the states of these objects, in their order, folded from what the APDB holds of them.

    Those that have no version are left out. An object without a source but
    those of the batch ``without`` counts none.
    """
    states = calculator.rebuild(session.load_histories(diaObjectId, without))
    if not calculator.folds_forced:
        return states
    ever = np.full(len(states), -np.inf)
    counted = session.load_forced_points(states.diaObjectId, ever, states.validityStartMjdTai, without)
    return calculator.fold_forced(states, counted)
