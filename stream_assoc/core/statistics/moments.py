"""Scatter and skewness from central moments.

The moments are those of the differences to the slot's first finite flux,
updated as in Pébay, P. 2008, Sandia report SAND2008-6212. Differences of nearby
fluxes are exact, so a mean of ten million sigma costs no digit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np

from stream_assoc.core.model.states import LightCurves
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.statistics.plugin import kernel

COUNT, REFERENCE, MEAN, M2, M3 = range(5)

SIGMA_FIELDS: Final = {"count": 0.0, "reference": 0.0, "mean": 0.0, "m2": 0.0}


@kernel
def _fold_second(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            if math.isfinite(flux[point]):
                _add_second(fields[slot], flux[point])


@kernel
def _add_second(state: FloatArray, flux: float) -> None:
    if state[COUNT] == 0.0:
        state[REFERENCE] = flux
    state[COUNT] += 1.0
    value = flux - state[REFERENCE]
    difference = value - state[MEAN]
    state[MEAN] += difference / state[COUNT]
    state[M2] += difference * (value - state[MEAN])


@kernel
def _fold_third(fields: FloatArray, offsets: IntArray, starts: IntArray, flux: FloatArray) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            if math.isfinite(flux[point]):
                _add_third(fields[slot], flux[point])


@kernel
def _add_third(state: FloatArray, flux: float) -> None:
    before = state[COUNT]
    m2_before = state[M2]
    mean_before = state[MEAN]
    _add_second(state, flux)
    count = state[COUNT]
    difference = (flux - state[REFERENCE]) - mean_before
    step = difference / count
    state[M3] += step * step * difference * before * (before - 1.0) - 3.0 * step * m2_before


@dataclass(frozen=True, slots=True)
class SigmaFlux:
    """``ap_sigmaFlux`` and ``ap_sigmaTotFlux``: standard deviation with n - 1.

    Every finite flux counts, whatever its error; NaN below two.

    Attributes
    ----------
    name : `str`
    flux : `str`
        The flux it describes: ``psfFlux`` or ``scienceFlux``.
    """

    name: str
    flux: str
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = SIGMA_FIELDS
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", (f"{self.flux}Sigma",))

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_second(fields, curves.offsets, starts, getattr(curves, self.flux))

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        count = fields[:, COUNT]
        variance = np.divide(fields[:, M2], count - 1.0, out=np.full(len(fields), np.nan), where=count >= 2.0)
        return {self.columns[0]: np.sqrt(variance)}


@dataclass(frozen=True, slots=True)
class SkewFlux:
    """``ap_skewFlux``: bias-corrected skewness G1 of psfFlux.

    Every finite flux counts, whatever its error; NaN below three, 0 when all are equal.
    """

    name: ClassVar[str] = "ap_skewFlux"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = {**SIGMA_FIELDS, "m3": 0.0}
    columns: ClassVar[tuple[str, ...]] = ("psfFluxSkew",)

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_third(fields, curves.offsets, starts, curves.psfFlux)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        n, m2, m3 = fields[:, COUNT], fields[:, M2], fields[:, M3]
        with np.errstate(divide="ignore", invalid="ignore"):
            skew = n * np.sqrt(n - 1.0) / (n - 2.0) * m3 / (m2 * np.sqrt(m2))
        return {"psfFluxSkew": np.where(n < 3.0, np.nan, np.where(m2 == 0.0, 0.0, skew))}
