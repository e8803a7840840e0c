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

from stream_assoc.core.model.states import LightCurves
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.statistics.plugin import kernel

PERCENTILES: Final = (5, 25, 50, 75, 95)

INSERTED_AT_MOST: Final = 100
"""Light curves up to that long are put in order by insertion, which is then faster than anything, unless most of
their fluxes fall."""


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
def _in_order(flux: FloatArray, room: FloatArray) -> FloatArray:
    """Return the finite ones of these fluxes in order, in the beginning of ``room``."""
    n = 0
    if len(flux) > INSERTED_AT_MOST:
        for value in flux:
            if math.isfinite(value):
                room[n] = value
                n += 1
        room[:n].sort()
        return room[:n]
    for value in flux:
        if math.isfinite(value):
            place = n
            while place > 0 and room[place - 1] > value:
                room[place] = room[place - 1]
                place -= 1
            room[place] = value
            n += 1
    return room[:n]


@kernel
def _longest(offsets: IntArray) -> int:
    longest = 0
    for slot in range(len(offsets) - 1):
        longest = max(longest, offsets[slot + 1] - offsets[slot])
    return longest


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
    room = np.empty(_longest(offsets))
    for slot in range(len(starts)):
        if starts[slot] < offsets[slot + 1]:
            ordered = _in_order(flux[offsets[slot] : offsets[slot + 1]], room)
            if len(ordered) > 0:
                for index, percentile in enumerate(PERCENTILES):
                    fields[slot, index] = _quantile(ordered, percentile / 100.0)


@kernel
def _fold_median_deviation(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray) -> None:
    longest = _longest(offsets)
    room, deviations = np.empty(longest), np.empty(longest)
    for slot in range(len(starts)):
        if starts[slot] < offsets[slot + 1]:
            ordered = _in_order(flux[offsets[slot] : offsets[slot + 1]], room)
            n = len(ordered)
            if n > 0:
                _deviations_in_order(ordered, _quantile(ordered, 0.5), deviations)
                fields[slot, 0] = _quantile(deviations[:n], 0.5)


@kernel
def _deviations_in_order(ordered: FloatArray, median: float, deviations: FloatArray) -> None:
    """Merge the distances of both halves from the median, each of which is in order already."""
    above = len(ordered) // 2
    below = above - 1
    for index in range(len(ordered)):
        if above == len(ordered) or (below >= 0 and abs(ordered[below] - median) < abs(ordered[above] - median)):
            deviations[index] = abs(ordered[below] - median)
            below -= 1
        else:
            deviations[index] = abs(ordered[above] - median)
            above += 1


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
