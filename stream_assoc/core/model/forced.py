"""Forced sources: which objects are worth a measurement, its identifier, and what statistics are made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import BANDS, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class GoodSources:
    """When a DIASource is good enough for forced photometry of its object; the defaults are upstream's.

    It carries neither ``glint_trail`` nor ``isDipole``, and what is missing,
    null or NaN, is not good.

    Attributes
    ----------
    min_reliability : `float`
    max_trail_length : `float`
        Arcsec.
    """

    min_reliability: float = 0.5
    max_trail_length: float = 1.4


@dataclass(frozen=True, slots=True)
class ForcedPoints:
    """The part of DIAForcedSources that statistics are made of, one row a measurement.

    Attributes
    ----------
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
    timeProcessedMjdTai : `numpy.ndarray` [float64], shape (n,)
        When it was measured, MJD TAI. An object's version counts what was
        measured up to its own time.
    psfFlux, psfFluxErr : `numpy.ndarray` [float64], shape (n,)
        Of the difference image, nJy, NaN where missing; float32 values widened.
    band : `numpy.ndarray` [int64], shape (n,)
        Index into `~stream_assoc.core.model.types.BANDS`.
    """

    diaObjectId: IntArray
    timeProcessedMjdTai: FloatArray
    psfFlux: FloatArray
    psfFluxErr: FloatArray
    band: IntArray

    def __len__(self) -> int:
        return len(self.diaObjectId)

    @classmethod
    def none(cls) -> "ForcedPoints":
        """Return no measurement."""
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64))

    @classmethod
    def of(cls, forced_sources: pa.Table) -> "ForcedPoints":
        """Return those of DiaForcedSource rows, in their order."""
        time, flux, error = (
            np.asarray(forced_sources.column(name).to_numpy(), np.float64)
            for name in ("timeProcessedMjdTai", "psfFlux", "psfFluxErr")
        )
        bands = [BANDS.index(band) for band in forced_sources.column("band").to_pylist()]
        ids = np.asarray(forced_sources.column("diaObjectId").to_numpy(), np.int64)
        return cls(ids, time, flux, error, np.array(bands, np.int64))

    @classmethod
    def concatenate(cls, parts: Sequence["ForcedPoints"]) -> "ForcedPoints":
        """Return the rows of all parts, in order; at least one part is needed."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))


def forced_source_ids(batch: BatchId, diaObjectId: IntArray) -> IntArray:
    """Return the diaForcedSourceId of each object's measurement in a batch.

    The same visit, detector and object give the same identifier, in whatever
    order and company they are measured.

    Parameters
    ----------
    batch : `BatchId`
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
