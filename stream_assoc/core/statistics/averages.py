"""Weighted means and what follows from them: mean, its error, chi2, mean error; of sources and forced sources.

The weighted mean is kept relative to the first usable flux of the slot and
updated as in West, D. H. D. 1979, Comm. ACM 22, 532. The differences of nearby
fluxes are exact, so nothing is lost when the mean is millions of times the scatter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stream_assoc.core.model.states import LightCurves
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.statistics.plugin import is_usable, kernel

WEIGHT, COUNT, REFERENCE, OFFSET, CHI2 = range(5)

MEAN_FIELDS: Final = {"weight": math.nan, "count": 0.0, "reference": math.nan, "offset": 0.0}
"""Sum of weights, number of usable points, first usable flux, mean relative to it.

The weight is NaN until the band has a source, usable or not: upstream gives
an undefined statistic where there is no source, and an empty sum where there
are only unusable ones.
"""


@kernel
def _add_to_mean(state: FloatArray, flux: float, error: float) -> float:
    """Add one point to the mean and return its contribution to chi2."""
    if math.isnan(state[WEIGHT]):
        state[WEIGHT] = 0.0
    if not is_usable(flux, error):
        return 0.0
    if state[COUNT] == 0.0:
        state[REFERENCE] = flux
    weight = 1.0 / (error * error)
    difference = (flux - state[REFERENCE]) - state[OFFSET]
    state[WEIGHT] += weight
    state[COUNT] += 1.0
    state[OFFSET] += difference * (weight / state[WEIGHT])
    chi2: float = weight * difference * ((flux - state[REFERENCE]) - state[OFFSET])
    return chi2


@kernel
def _fold_mean(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray, error: FloatArray) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            _add_to_mean(fields[slot], flux[point], error[point])


@kernel
def _fold_chi2(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray, error: FloatArray) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            fields[slot, CHI2] += _add_to_mean(fields[slot], flux[point], error[point])


@kernel
def _fold_forced(fields: FloatArray, slots: IntArray, flux: FloatArray, error: FloatArray) -> None:
    for point in range(len(slots)):
        _add_to_mean(fields[slots[point]], flux[point], error[point])


@kernel
def _fold_error(fields: FloatArray, offsets: IntArray, starts: IntArray, error: FloatArray) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            if math.isfinite(error[point]):
                fields[slot, 0] += 1.0
                fields[slot, 1] += error[point]


def _mean(fields: FloatArray) -> FloatArray:
    # The reference is NaN, and with it the mean, until there is a usable point.
    mean: FloatArray = fields[:, REFERENCE] + fields[:, OFFSET]
    return mean


def _mean_error(fields: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        error: FloatArray = np.sqrt(1.0 / fields[:, WEIGHT])
    return error


@dataclass(frozen=True, slots=True)
class MeanFlux:
    """``ap_meanFlux``: weighted mean of psfFlux, its error, the number of usable points.

    A point counts when its flux is finite and its error finite and positive.
    Without one the mean and its error are NaN.
    """

    name: ClassVar[str] = "ap_meanFlux"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = MEAN_FIELDS
    columns: ClassVar[tuple[str, ...]] = ("psfFluxMean", "psfFluxMeanErr", "psfFluxNdata")

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_mean(fields, curves.offsets, starts, curves.psfFlux, curves.psfFluxErr)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        error = np.where(fields[:, COUNT] > 0.0, _mean_error(fields), np.nan)
        return {"psfFluxMean": _mean(fields), "psfFluxMeanErr": error, "psfFluxNdata": fields[:, COUNT]}


@dataclass(frozen=True, slots=True)
class MeanTotFlux:
    """``ap_meanTotFlux``: weighted mean of scienceFlux and its error.

    A point counts when its flux is finite and its error finite and positive.
    With none of them the mean is NaN and its error, as upstream's, infinite;
    in a band without any source both are NaN.
    """

    name: ClassVar[str] = "ap_meanTotFlux"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = MEAN_FIELDS
    columns: ClassVar[tuple[str, ...]] = ("scienceFluxMean", "scienceFluxMeanErr")

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_mean(fields, curves.offsets, starts, curves.scienceFlux, curves.scienceFluxErr)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"scienceFluxMean": _mean(fields), "scienceFluxMeanErr": _mean_error(fields)}


@dataclass(frozen=True, slots=True)
class Chi2Flux:
    """``ap_chi2Flux``: chi2 of psfFlux about its weighted mean.

    A point counts as in ``ap_meanFlux``; 0 when there are only unusable ones,
    NaN in a band without any source.
    """

    name: ClassVar[str] = "ap_chi2Flux"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = {**MEAN_FIELDS, "chi2": 0.0}
    columns: ClassVar[tuple[str, ...]] = ("psfFluxChi2",)

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_chi2(fields, curves.offsets, starts, curves.psfFlux, curves.psfFluxErr)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"psfFluxChi2": np.where(np.isnan(fields[:, WEIGHT]), np.nan, fields[:, CHI2])}


@dataclass(frozen=True, slots=True)
class MeanErrFlux:
    """``ap_meanErrFlux``: mean of psfFluxErr over all finite errors, whatever the flux.

    Upstream rounds it to float32; here that is left to the schema.
    """

    name: ClassVar[str] = "ap_meanErrFlux"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = {"count": 0.0, "total": 0.0}
    columns: ClassVar[tuple[str, ...]] = ("psfFluxErrMean",)

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_error(fields, curves.offsets, starts, curves.psfFluxErr)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        with np.errstate(invalid="ignore"):
            return {"psfFluxErrMean": fields[:, 1] / fields[:, 0]}


@dataclass(frozen=True, slots=True)
class MeanForcedFlux:
    """``forcedMeanFlux``: weighted mean of the psfFlux of DIAForcedSources, and its error.

    A measurement counts when its flux is finite and its error finite and
    positive; without one both are NaN. Upstream's pipeline leaves the two
    columns empty.
    """

    name: ClassVar[str] = "forcedMeanFlux"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = MEAN_FIELDS
    columns: ClassVar[tuple[str, ...]] = ("fpFluxMean", "fpFluxMeanErr")

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold nothing: a DIASource is no forced source."""

    def fold_forced(self, fields: FloatArray, slots: IntArray, flux: FloatArray, error: FloatArray) -> None:
        """Fold new forced sources; see `ForcedPlugin.fold_forced`."""
        _fold_forced(fields, slots, flux, error)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        error = np.where(fields[:, COUNT] > 0.0, _mean_error(fields), np.nan)
        return {"fpFluxMean": _mean(fields), "fpFluxMeanErr": error}
