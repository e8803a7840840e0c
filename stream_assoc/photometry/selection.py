"""Which objects are measured on an image, and what the measurements are called."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.model.batch import BatchId
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Settings of the selection; the defaults are upstream's.

    Attributes
    ----------
    history_threshold : `int`
        Least number of sources of an object that this visit did not see.
    min_reliability : `float`
        Least reliability of a good source.
    max_trail_length : `float`
        Greatest length of the trail of a good source, arcsec.
    """

    history_threshold: int = 2
    min_reliability: float = 0.5
    max_trail_length: float = 1.4


def good_sources(sources: pa.RecordBatch | pa.Table, config: SelectionConfig) -> BoolArray:
    """Tell which sources are good enough to vouch for their object.

    Parameters
    ----------
    sources : `pyarrow.RecordBatch` or `pyarrow.Table`
        DIASources with ``reliability``, ``trailLength``, ``glint_trail`` and ``isDipole``.
    config : `SelectionConfig`

    Returns
    -------
    good : `numpy.ndarray` [bool], shape (n_sources,)
        What is missing, null or NaN, vouches for nothing.
    """
    good = _floats(sources, "reliability") >= config.min_reliability
    good &= _floats(sources, "trailLength") <= config.max_trail_length
    for flag in ("glint_trail", "isDipole"):
        good &= ~np.asarray(pc.fill_null(sources.column(flag), True), dtype=np.bool_)
    return good


def select(
    objects: ObjectPositions,
    updated: IntArray,
    vouched_for: IntArray,
    inside: BoolArray,
    config: SelectionConfig,
) -> BoolArray:
    """Tell which objects to measure.

    Parameters
    ----------
    objects : `~stream_assoc.model.objects.ObjectPositions`
        Every object in the footprint as the batch leaves it.
    updated : `numpy.ndarray` [int64]
        diaObjectId of those that a source of this visit went to, new ones included.
    vouched_for : `numpy.ndarray` [int64]
        diaObjectId of those with at least one of `good_sources`.
    inside : `numpy.ndarray` [bool], shape (n_objects,)
        Which of them lie in the image.
    config : `SelectionConfig`

    Returns
    -------
    chosen : `numpy.ndarray` [bool], shape (n_objects,)
        All that were updated, wherever they are, and of the others those in
        the image with sources enough, a good one among them.
    """
    known = objects.nDiaSources >= config.history_threshold
    known &= np.isin(objects.diaObjectId, vouched_for)
    known &= inside
    return np.asarray(known | np.isin(objects.diaObjectId, updated))


def forced_source_ids(batch: BatchId, diaObjectId: IntArray) -> IntArray:
    """Return the diaForcedSourceId of each object's measurement in a batch.

    The same visit, detector and object give the same identifier, in whatever
    order and company they are measured.

    Parameters
    ----------
    batch : `~stream_assoc.model.batch.BatchId`
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
        Not negative.

    Returns
    -------
    diaForcedSourceId : `numpy.ndarray` [int64], shape (n,)
        Not negative. Two objects of one batch never share one: every step
        can be undone. Those of different batches are 63 bits that have
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


def _floats(sources: pa.RecordBatch | pa.Table, name: str) -> FloatArray:
    return np.asarray(sources.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
