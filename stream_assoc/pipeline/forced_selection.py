"""Which objects are measured on an image, and what the measurements are called."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.forced import GoodSources
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Settings of the selection; the defaults are upstream's.

    Attributes
    ----------
    history_threshold : `int`
        Least number of sources of an object that this visit did not see.
    good_sources : `~stream_assoc.core.model.forced.GoodSources`
        What one of them must be like.
    """

    history_threshold: int = 2
    good_sources: GoodSources = field(default_factory=GoodSources)


def candidates(objects: ObjectPositions, updated: IntArray, inside: BoolArray, config: SelectionConfig) -> BoolArray:
    """Tell which objects to measure if they have a good source.

    Parameters
    ----------
    objects : `~stream_assoc.core.model.objects.ObjectPositions`
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


def forced_source_ids(batch: BatchId, diaObjectId: IntArray) -> IntArray:
    """Return the diaForcedSourceId of each object's measurement in a batch.

    The same visit, detector and object give the same identifier, in whatever
    order and company they are measured.

    Parameters
    ----------
    batch : `~stream_assoc.core.model.batch.BatchId`
    diaObjectId : `numpy.ndarray` [int64], shape (n,)

    Returns
    -------
    diaForcedSourceId : `numpy.ndarray` [int64], shape (n,)
        Not negative. Two objects of one batch, named by their sources, never
        share one: every step can be undone. Those of different batches are 63 bits that have
        nothing to do with each other.
    """
    key = _scrambled(np.array([batch.visit], np.uint64)) ^ np.array([batch.detector], np.uint64)
    return _scrambled(diaObjectId.astype(np.uint64) ^ _scrambled(key)).astype(np.int64)


_LOW_63_BITS: Final = np.uint64(2**63 - 1)


def _scrambled(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a permutation of the integers of 63 bits that looks random: the steps of splitmix64, one bit short."""
    values = (values + np.uint64(0x1E3779B97F4A7C15)) & _LOW_63_BITS
    values = ((values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)) & _LOW_63_BITS
    values = ((values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)) & _LOW_63_BITS
    return values ^ (values >> np.uint64(31))
