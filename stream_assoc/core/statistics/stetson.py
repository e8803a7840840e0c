"""Stetson's J: whether the residuals of a light curve hang together.

Stetson, P. B. 1996, PASP 108, 851.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stream_assoc.core.model.states import LightCurves
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.statistics.plugin import is_usable, kernel

ITERATIONS: Final = 20
TOLERANCE: Final = 1e-6
ALPHA: Final = 2.0
"""The residual, in sigma, at which a point loses half its weight; the power law beta is 2."""


_SIDE_BY_SIDE: Final = 64
"""Light curves that are computed together. A step of one waits for the step before it; of many, the processor takes
several at once."""


@kernel
def _fold_stetson(
    fields: FloatArray, slots: IntArray, offsets: IntArray, flux: FloatArray, error: FloatArray
) -> None:
    """Compute J of these slots, which ascend by the length of their light curves."""
    for begin in range(0, len(slots), _SIDE_BY_SIDE):
        _fold_side_by_side(fields, slots[begin : begin + _SIDE_BY_SIDE], offsets, flux, error)


@kernel
def _fold_side_by_side(
    fields: FloatArray, slots: IntArray, offsets: IntArray, flux: FloatArray, error: FloatArray
) -> None:
    longest = offsets[slots[-1] + 1] - offsets[slots[-1]]
    # What a light curve lacks to the longest has no weight.
    values, variances = np.zeros((longest, len(slots))), np.full((longest, len(slots)), math.inf)
    n_points, references = np.zeros(len(slots), np.int64), np.full(len(slots), math.nan)
    for column, slot in enumerate(slots):
        for point in range(offsets[slot], offsets[slot + 1]):
            if is_usable(flux[point], error[point]):
                # Relative to one of the fluxes: see `stream_assoc.core.statistics.averages`.
                if n_points[column] == 0:
                    references[column] = flux[point]
                values[n_points[column], column] = flux[point] - references[column]
                variances[n_points[column], column] = error[point] * error[point]
                n_points[column] += 1
    stretches = np.sqrt(n_points / (n_points - 1.0))
    means = _stetson_means(values, variances, references, stretches / ALPHA, n_points >= 2)
    for column, slot in enumerate(slots):
        total = 0.0
        for point in range(offsets[slot], offsets[slot + 1]):
            if is_usable(flux[point], error[point]):
                residual = flux[point] - references[column] - means[column]
                excess = (stretches[column] * residual / error[point]) ** 2 - 1.0
                total += math.copysign(math.sqrt(abs(excess)), excess)
        fields[slot, 0] = total / n_points[column] if n_points[column] >= 2 else math.nan


@kernel
def _stetson_means(
    values: FloatArray, variances: FloatArray, references: FloatArray, dampings: FloatArray, moves: BoolArray
) -> FloatArray:
    """Iterate the means that play down outliers, from the weighted means on, each as long as it ``moves``."""
    means = _damped_means(values, variances, np.zeros(len(moves)), np.zeros(len(moves)))
    for _ in range(ITERATIONS):
        following = _damped_means(values, variances, means, dampings)
        for column in np.flatnonzero(moves):
            change = abs(following[column] - means[column])
            means[column] = following[column]
            # Upstream's stopping rule, kept as it is: it decides the last digits.
            moves[column] = not (change < TOLERANCE and change / (references[column] + means[column]) < TOLERANCE)
        if not moves.any():
            break
    return means


@kernel
def _damped_means(values: FloatArray, variances: FloatArray, centres: FloatArray, dampings: FloatArray) -> FloatArray:
    """Weighted means where a residual of ``1 / damping`` sigma halves a point's weight."""
    totals, weights = np.zeros(len(centres)), np.zeros(len(centres))
    for row in range(len(values)):
        _add_weighted(totals, weights, values[row], variances[row], centres, dampings)
    return totals / weights


@kernel
def _add_weighted(
    totals: FloatArray,
    weights: FloatArray,
    values: FloatArray,
    variances: FloatArray,
    centres: FloatArray,
    dampings: FloatArray,
) -> None:
    for column in range(len(totals)):
        damped = dampings[column] * (values[column] - centres[column])
        # 1 / (variance * (1 + (damped / sigma)**2)), with the one division that is needed.
        weight = 1.0 / (variances[column] + damped * damped)
        totals[column] += weight * values[column]
        weights[column] += weight


@dataclass(frozen=True, slots=True)
class StetsonJ:
    """``ap_stetsonJ``: Stetson's J of psfFlux in one band.

    A point counts when its flux is finite and its error finite and positive;
    NaN below two. The outlier-resistant mean starts at the weighted mean of all
    points, never at its last value, so that the result is a function of the
    light curve alone.
    """

    name: ClassVar[str] = "ap_stetsonJ"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"stetson_j": math.nan}
    columns: ClassVar[tuple[str, ...]] = ("psfFluxStetsonJ",)

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        grown = np.flatnonzero(starts < curves.offsets[1:])
        # Light curves of about the same length go side by side.
        slots = grown[np.argsort(np.diff(curves.offsets)[grown])]
        _fold_stetson(fields, slots, curves.offsets, curves.psfFlux, curves.psfFluxErr)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"psfFluxStetsonJ": fields[:, 0]}
