"""What follows from the fluxes put in order: extremes, percentiles, median deviation.

Every finite flux counts, whatever its error. Minimum and maximum are kept;
percentiles and the median absolute deviation are recomputed from the slot's
light curve whenever it has grown.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stream_assoc.model.states import LightCurves
from stream_assoc.model.types import FloatArray, IntArray
from stream_assoc.statistics.kernel import kernel

PERCENTILES: Final = (5, 25, 50, 75, 95)


@kernel
def _fold_extremes(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            value = flux[point]
            # Negated, so that the first value replaces the initial NaN.
            if math.isfinite(value):
                if not fields[slot, 0] <= value:
                    fields[slot, 0] = value
                if not fields[slot, 1] >= value:
                    fields[slot, 1] = value


@kernel
def _sorted_finite(flux: FloatArray) -> FloatArray:
    return np.sort(flux[np.isfinite(flux)])


@kernel
def _quantile(ordered: FloatArray, fraction: float) -> float:
    """Interpolate linearly between the order statistics: Hyndman & Fan's type 7."""
    position = fraction * (len(ordered) - 1)
    lower = int(position)
    upper = min(lower + 1, len(ordered) - 1)
    value: float = ordered[lower] + (ordered[upper] - ordered[lower]) * (position - lower)
    return value


@kernel
def _fold_percentiles(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray) -> None:
    for slot in range(len(starts)):
        if starts[slot] < offsets[slot + 1]:
            ordered = _sorted_finite(flux[offsets[slot] : offsets[slot + 1]])
            if len(ordered) > 0:
                for index, percentile in enumerate(PERCENTILES):
                    fields[slot, index] = _quantile(ordered, percentile / 100.0)


@kernel
def _fold_median_deviation(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray) -> None:
    for slot in range(len(starts)):
        if starts[slot] < offsets[slot + 1]:
            ordered = _sorted_finite(flux[offsets[slot] : offsets[slot + 1]])
            if len(ordered) > 0:
                fields[slot, 0] = _quantile(np.sort(np.abs(ordered - _quantile(ordered, 0.5))), 0.5)


@dataclass(frozen=True, slots=True)
class MinMaxFlux:
    """``ap_minMaxFlux``: smallest and largest psfFlux; NaN without a finite one."""

    name: ClassVar[str] = "ap_minMaxFlux"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = {"minimum": math.nan, "maximum": math.nan}
    columns: ClassVar[tuple[str, ...]] = ("psfFluxMin", "psfFluxMax")

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_extremes(fields, curves.offsets, starts, curves.psfFlux)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {name: fields[:, index] for index, name in enumerate(self.columns)}


@dataclass(frozen=True, slots=True)
class PercentileFlux:
    """``ap_percentileFlux``: percentiles 5, 25, 50, 75 and 95 of psfFlux, linearly interpolated."""

    name: ClassVar[str] = "ap_percentileFlux"
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = tuple(f"psfFluxPercentile{percentile:02d}" for percentile in PERCENTILES)
    fields: ClassVar[Mapping[str, float]] = dict.fromkeys(columns, math.nan)

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_percentiles(fields, curves.offsets, starts, curves.psfFlux)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {name: fields[:, index] for index, name in enumerate(self.columns)}


@dataclass(frozen=True, slots=True)
class MadFlux:
    """``ap_madFlux``: median absolute deviation of psfFlux from its median, not scaled to a sigma."""

    name: ClassVar[str] = "ap_madFlux"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"median_deviation": math.nan}
    columns: ClassVar[tuple[str, ...]] = ("psfFluxMAD",)

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_median_deviation(fields, curves.offsets, starts, curves.psfFlux)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"psfFluxMAD": fields[:, 0]}
