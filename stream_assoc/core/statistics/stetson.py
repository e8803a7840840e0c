"""Stetson's J: whether the residuals of a light curve hang together.

Stetson, P. B. 1996, PASP 108, 851.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from stream_assoc.core.model.states import LightCurves
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.statistics.plugin import is_usable, kernel

ITERATIONS: Final = 20
TOLERANCE: Final = 1e-6
ALPHA: Final = 2.0
"""The residual, in sigma, at which a point loses half its weight; the power law beta is 2."""


@kernel
def _fold_stetson(
    fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray, error: FloatArray
) -> None:
    for slot in range(len(starts)):
        if starts[slot] < offsets[slot + 1]:
            points = slice(offsets[slot], offsets[slot + 1])
            fields[slot, 0] = _stetson_j(flux[points], error[points])


@kernel
def _stetson_j(flux: FloatArray, error: FloatArray) -> float:
    n = 0
    for index in range(len(flux)):
        if is_usable(flux[index], error[index]):
            n += 1
    if n < 2:
        return math.nan
    # Relative to one of the fluxes: see `stream_assoc.core.statistics.averages`.
    reference = math.nan
    values, errors = np.empty(n), np.empty(n)
    n = 0
    for index in range(len(flux)):
        if is_usable(flux[index], error[index]):
            if n == 0:
                reference = flux[index]
            values[n], errors[n] = flux[index] - reference, error[index]
            n += 1
    stretch = math.sqrt(n / (n - 1.0))
    mean = _stetson_mean(values, errors * errors, stretch, reference)
    total = 0.0
    for index in range(n):
        excess = (stretch * (values[index] - mean) / errors[index]) ** 2 - 1.0
        total += math.copysign(math.sqrt(abs(excess)), excess)
    return total / n


@kernel
def _stetson_mean(values: FloatArray, variances: FloatArray, stretch: float, reference: float) -> float:
    """Iterate the mean that plays down outliers, from the weighted mean on."""
    mean = _damped_mean(values, variances, 0.0, 0.0)
    for _ in range(ITERATIONS):
        previous = mean
        mean = _damped_mean(values, variances, previous, stretch / ALPHA)
        change = abs(mean - previous)
        # Upstream's stopping rule, kept as it is: it decides the last digits.
        if change < TOLERANCE and change / (reference + mean) < TOLERANCE:
            break
    return mean


@kernel
def _damped_mean(values: FloatArray, variances: FloatArray, centre: float, damping: float) -> float:
    """Weighted mean where a residual of ``1 / damping`` sigma halves a point's weight."""
    total, total_weight = 0.0, 0.0
    for index in range(len(values)):
        damped = damping * (values[index] - centre)
        # 1 / (variance * (1 + (damped / sigma)**2)), with the one division that is needed.
        weight = 1.0 / (variances[index] + damped * damped)
        total += weight * values[index]
        total_weight += weight
    return total / total_weight


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
        _fold_stetson(fields, curves.offsets, starts, curves.psfFlux, curves.psfFluxErr)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"psfFluxStetsonJ": fields[:, 0]}
