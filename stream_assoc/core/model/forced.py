"""Which objects are worth a forced measurement, and what statistics are made of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.types import BANDS, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class GoodSources:
    """When a DIASource is good enough to vouch for its object; the defaults are upstream's.

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
