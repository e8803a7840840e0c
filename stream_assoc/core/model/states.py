"""What is remembered of a DIAObject between visits: accumulators and light curves.

An object's state is a *fold* over its DIASources in the order in which they
were processed: ``state' = fold(state, source)``. Rebuilding it from the
database folds the same sources in the same order, so it gives the same bits.
That is why the cache may be lost at any moment without changing any result.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from stream_assoc.core.model.arrays import offsets_of, rows_of
from stream_assoc.core.model.types import BANDS, BoolArray, Float32Array, FloatArray, IntArray

N_BANDS: Final = len(BANDS)


@dataclass(frozen=True, slots=True)
class SourcePoints:
    """The part of DIASources that statistics are made of, one row a source.

    Attributes
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees.
    midpointMjdTai : `numpy.ndarray` [float64], shape (n,)
        MJD TAI.
    psfFlux, psfFluxErr, scienceFlux, scienceFluxErr : `numpy.ndarray` [float64], shape (n,)
        nJy, NaN where missing.
    band : `numpy.ndarray` [int64], shape (n,)
        Index into `~stream_assoc.core.model.types.BANDS`.
    flag : `numpy.ndarray` [bool], shape (n,)
        Whether the source carries any flag that ``ap_diaObjectFlag`` watches.
    """

    ra: FloatArray
    dec: FloatArray
    midpointMjdTai: FloatArray
    psfFlux: FloatArray
    psfFluxErr: FloatArray
    scienceFlux: FloatArray
    scienceFluxErr: FloatArray
    band: IntArray
    flag: BoolArray

    def __len__(self) -> int:
        return len(self.ra)

    def take(self, rows: IntArray | BoolArray) -> "SourcePoints":
        """Return the chosen rows, by index or by mask."""
        return SourcePoints(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class LightCurves:
    """Ragged light curves: slot ``i`` owns the points ``offsets[i]:offsets[i + 1]``.

    A slot is one object in one band, and its points are in the order in which
    they were processed, which need not be the order of time.

    Attributes
    ----------
    offsets : `numpy.ndarray` [int64], shape (n_slots + 1,)
        Non-decreasing, from 0 to the number of points.
    midpointMjdTai, psfFlux, psfFluxErr, scienceFlux, scienceFluxErr : `numpy.ndarray` [float64], shape (n_points,)
        MJD TAI and nJy. The fluxes are float32 values widened, as the APDB stores them.
    """

    offsets: IntArray
    midpointMjdTai: FloatArray
    psfFlux: FloatArray
    psfFluxErr: FloatArray
    scienceFlux: FloatArray
    scienceFluxErr: FloatArray

    COLUMNS: ClassVar = ("midpointMjdTai", "psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr")

    @classmethod
    def empty(cls, n_slots: int) -> "LightCurves":
        """Return ``n_slots`` light curves without a point."""
        return cls(np.zeros(n_slots + 1, np.int64), *(np.empty(0) for _ in cls.COLUMNS))

    @property
    def n_slots(self) -> int:
        """The number of light curves."""
        return len(self.offsets) - 1

    def take(self, slots: IntArray) -> "LightCurves":
        """Return the chosen light curves, in the order chosen."""
        lengths = np.diff(self.offsets)[slots]
        points, offsets = rows_of(self.offsets[slots], lengths)
        return LightCurves(offsets, *(getattr(self, name)[points] for name in self.COLUMNS))

    @classmethod
    def concatenate(cls, parts: Sequence["LightCurves"]) -> "LightCurves":
        """Return the slots of all parts, in order; where only one of them has points, in its arrays."""
        lengths = [np.diff(part.offsets) for part in parts]
        offsets = offsets_of(np.concatenate(lengths))
        parts = [part for part in parts if part.offsets[-1]] or parts[:1]
        if len(parts) == 1:
            return replace(parts[0], offsets=offsets)
        return cls(offsets, *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.COLUMNS))


@dataclass(frozen=True, slots=True)
class ObjectStates:
    """States of ``n`` DIAObjects, columnar.

    What the numbers in the two ``fields`` arrays mean is the statistics
    plugins' affair (`stream_assoc.core.statistics`); the cache only keeps them.

    Attributes
    ----------
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
    validityStartMjdTai : `numpy.ndarray` [float64], shape (n,)
        The object version this state belongs to.
    raErr, decErr, ra_dec_Cov : `numpy.ndarray` [float32], shape (n,)
        Taken from the object's first source, as upstream does; NaN for NULL.
    object_fields : `numpy.ndarray` [float64], shape (n, n_object_fields)
        Accumulators over all bands (position, counts, times, flags).
    band_fields : `numpy.ndarray` [float64], shape (n, 6, n_band_fields)
        Accumulators of each band.
    curves : `LightCurves`
        ``n * 6`` slots: object ``i`` in band ``b`` is slot ``i * 6 + b``.
    """

    diaObjectId: IntArray
    validityStartMjdTai: FloatArray
    raErr: Float32Array
    decErr: Float32Array
    ra_dec_Cov: Float32Array
    object_fields: FloatArray
    band_fields: FloatArray
    curves: LightCurves

    _PLAIN_COLUMNS: ClassVar = (
        "diaObjectId",
        "validityStartMjdTai",
        "raErr",
        "decErr",
        "ra_dec_Cov",
        "object_fields",
        "band_fields",
    )

    def __len__(self) -> int:
        return len(self.diaObjectId)

    def take(self, rows: IntArray) -> "ObjectStates":
        """Return the states of the chosen objects, in the order chosen."""
        slots = (rows[:, np.newaxis] * N_BANDS + np.arange(N_BANDS)).ravel()
        plain = {name: getattr(self, name)[rows] for name in self._PLAIN_COLUMNS}
        return ObjectStates(**plain, curves=self.curves.take(slots))

    def with_own_fields(self) -> "ObjectStates":
        """Return the same states with field arrays of their own, which may be changed."""
        return replace(
            self,
            object_fields=np.array(self.object_fields, order="C"),
            band_fields=np.array(self.band_fields, order="C"),
        )

    @classmethod
    def concatenate(cls, parts: Sequence["ObjectStates"]) -> "ObjectStates":
        """Return the states of all parts, in order; at least one part is needed.

        Where only one of them has any, that is returned as it is.
        """
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        plain = {name: np.concatenate([getattr(part, name) for part in parts]) for name in cls._PLAIN_COLUMNS}
        return cls(**plain, curves=LightCurves.concatenate([part.curves for part in parts]))


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """States of some objects as they once were, packed.

    A state is a fold, so a checkpoint is a prefix of it: folding the sources
    that came later gives the very bits that folding all of them gives.

    Attributes
    ----------
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
        Each once.
    validityStartMjdTai : `numpy.ndarray` [float64], shape (n,)
        The version that each state belongs to: it holds the sources, and counts
        the forced sources, that were processed up to that time.
    layout : `int`
        `StateLayout.fingerprint` of the states.
    blobs : sequence of bytes-like
        The states.
    """

    diaObjectId: IntArray
    validityStartMjdTai: FloatArray
    layout: int
    blobs: "Sequence[bytes | memoryview]"

    @classmethod
    def none(cls, layout: int = 0) -> "Checkpoints":
        """Return no checkpoint."""
        return cls(np.empty(0, np.int64), np.empty(0), layout, ())

    def __len__(self) -> int:
        return len(self.diaObjectId)


@dataclass(frozen=True, slots=True)
class PointsOfObjects:
    """Sources of some objects, those of one object together.

    Attributes
    ----------
    offsets : `numpy.ndarray` [int64], shape (n + 1,)
        Object ``i`` owns the points ``offsets[i]:offsets[i + 1]``.
    points : `SourcePoints`
        Ordered within an object by (timeProcessedMjdTai, diaSourceId).
    """

    offsets: IntArray
    points: SourcePoints


@dataclass(frozen=True, slots=True)
class ObjectHistories:
    """Stored, not withdrawn sources of some objects, in the order they were processed.

    Attributes
    ----------
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
        The objects asked for that exist, in the order asked.
    validityStartMjdTai : `numpy.ndarray` [float64], shape (n,)
        The current version of each object.
    raErr, decErr, ra_dec_Cov : `numpy.ndarray` [float32], shape (n,)
        The objects' own errors, NaN for NULL.
    offsets : `numpy.ndarray` [int64], shape (n + 1,)
        Object ``i`` owns the points ``offsets[i]:offsets[i + 1]``.
    points : `SourcePoints`
        Ordered within an object by (timeProcessedMjdTai, diaSourceId).
    """

    diaObjectId: IntArray
    validityStartMjdTai: FloatArray
    raErr: Float32Array
    decErr: Float32Array
    ra_dec_Cov: Float32Array
    offsets: IntArray
    points: SourcePoints


@dataclass(frozen=True, slots=True)
class StateLayout:
    """The shape of states, which depends on the configured statistics; what the cache knows of them.

    Attributes
    ----------
    name : `str`
        Names the statistics plugins and their order. States written under one
        name are never read under another.
    n_object_fields : `int`
        Length of ``ObjectStates.object_fields`` rows.
    initial_band_fields : `numpy.ndarray` [float64], shape (n_band_fields,)
        Fields of a band without any source. The cache does not write such bands.
    """

    name: str
    n_object_fields: int
    initial_band_fields: FloatArray

    @property
    def n_band_fields(self) -> int:
        """Length of the last axis of ``ObjectStates.band_fields``."""
        return len(self.initial_band_fields)

    @property
    def fingerprint(self) -> int:
        """CRC-32 of the name and the initial fields, kept in every state blob."""
        initial = np.ascontiguousarray(self.initial_band_fields, "<f8")
        return zlib.crc32(initial.tobytes(), zlib.crc32(self.name.encode()))

    def empty_states(self) -> ObjectStates:
        """Return the states of no object."""
        return new_states(np.zeros(1, np.int64), self)


def new_states(offsets: IntArray, layout: StateLayout) -> ObjectStates:
    """Return states to be filled, with light curves of these lengths."""
    n_states = len(offsets) // N_BANDS
    times, *fluxes = (np.empty(offsets[-1]) for _ in LightCurves.COLUMNS)
    return ObjectStates(
        diaObjectId=np.empty(n_states, np.int64),
        validityStartMjdTai=np.empty(n_states),
        raErr=np.empty(n_states, np.float32),
        decErr=np.empty(n_states, np.float32),
        ra_dec_Cov=np.empty(n_states, np.float32),
        object_fields=np.empty((n_states, layout.n_object_fields)),
        band_fields=np.empty((n_states, N_BANDS, layout.n_band_fields)),
        curves=LightCurves(offsets, times, *fluxes),
    )
