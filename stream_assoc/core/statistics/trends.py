"""How the flux changes with time: steepest rise, linear fit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from stream_assoc.core.model.states import LightCurves
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.statistics.plugin import is_usable, kernel

SLOPE, LAST_TIME, LAST_LOWEST = range(3)

COUNT, TIME_REFERENCE, FLUX_REFERENCE, WEIGHT, TIME_OFFSET, FLUX_OFFSET, TIME_TIME, TIME_FLUX = range(8)


@kernel
def _fold_slope(fields: FloatArray, offsets: IntArray, starts: IntArray, time: FloatArray, flux: FloatArray) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            if math.isfinite(time[point]) and math.isfinite(flux[point]):
                _add_slope(fields[slot], time, flux, offsets[slot], point)


@kernel
def _add_slope(state: FloatArray, time: FloatArray, flux: FloatArray, first: int, point: int) -> None:
    if time[point] <= state[LAST_TIME]:
        _insert_late(state, time, flux, first, point)
        return
    # The first point of all meets a NaN here, which never is the steepest.
    _steepen(state, (flux[point] - state[LAST_LOWEST]) / (time[point] - state[LAST_TIME]))
    state[LAST_TIME] = time[point]
    state[LAST_LOWEST] = flux[point]


@kernel
def _insert_late(state: FloatArray, time: FloatArray, flux: FloatArray, first: int, point: int) -> None:
    """Add a point that is not the newest: look for its neighbours in time.

    The slope from the neighbour before to the neighbour after is a mediant of
    the two slopes that replace it, so the larger of those is at least as steep:
    the old maximum needs no second look.
    """
    now = time[point]
    before, lowest = -math.inf, math.nan
    after, highest = math.inf, math.nan
    for other in range(first, point):
        if not (math.isfinite(time[other]) and math.isfinite(flux[other])):
            continue
        if time[other] < now and (time[other] > before or (time[other] == before and flux[other] < lowest)):
            before, lowest = time[other], flux[other]
        if time[other] > now and (time[other] < after or (time[other] == after and flux[other] > highest)):
            after, highest = time[other], flux[other]
    _steepen(state, (flux[point] - lowest) / (now - before))
    _steepen(state, (highest - flux[point]) / (after - now))
    if now == state[LAST_TIME]:
        state[LAST_LOWEST] = min(state[LAST_LOWEST], flux[point])


@kernel
def _steepen(state: FloatArray, slope: float) -> None:
    if slope > state[SLOPE] or (math.isnan(state[SLOPE]) and not math.isnan(slope)):
        state[SLOPE] = slope


@kernel
def _fold_line(
    fields: FloatArray,
    offsets: IntArray,
    starts: IntArray,
    time: FloatArray,
    flux: FloatArray,
    error: FloatArray,
) -> None:
    for slot in range(len(starts)):
        for point in range(starts[slot], offsets[slot + 1]):
            if math.isfinite(time[point]) and is_usable(flux[point], error[point]):
                _add_to_line(fields[slot], time[point], flux[point], error[point])


@kernel
def _add_to_line(state: FloatArray, time: float, flux: float, error: float) -> None:
    if state[COUNT] == 0.0:
        state[TIME_REFERENCE] = time
        state[FLUX_REFERENCE] = flux
    weight = 1.0 / (error * error)
    time_step = (time - state[TIME_REFERENCE]) - state[TIME_OFFSET]
    flux_step = (flux - state[FLUX_REFERENCE]) - state[FLUX_OFFSET]
    state[COUNT] += 1.0
    state[WEIGHT] += weight
    share = weight / state[WEIGHT]
    state[TIME_OFFSET] += time_step * share
    state[FLUX_OFFSET] += flux_step * share
    time_left = (time - state[TIME_REFERENCE]) - state[TIME_OFFSET]
    state[TIME_TIME] += weight * time_step * time_left
    state[TIME_FLUX] += weight * flux_step * time_left


@dataclass(frozen=True, slots=True)
class MaxSlopeFlux:
    """``ap_maxSlopeFlux``: steepest rise of psfFlux between neighbours in time, nJy per day.

    A point counts when its flux and time are finite; NaN without two different
    times. Points of equal time are one epoch, and a rise leads from the lowest
    flux of one epoch to the highest of the next: the result does not depend on
    the order of arrival and is always finite. Upstream divides by zero there,
    and its answer depends on an unstable sort.
    """

    name: ClassVar[str] = "ap_maxSlopeFlux"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"slope": math.nan, "last_time": math.nan, "last_lowest": math.nan}
    columns: ClassVar[tuple[str, ...]] = ("psfFluxMaxSlope",)

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_slope(fields, curves.offsets, starts, curves.midpointMjdTai, curves.psfFlux)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"psfFluxMaxSlope": fields[:, SLOPE]}


@dataclass(frozen=True, slots=True)
class LinearFit:
    """``ap_linearFit``: weighted straight line, psfFlux = slope * MJD + intercept.

    A point counts when its flux and time are finite and its error finite and
    positive; NaN below two. The sums are centred on the first point; only the
    result is shifted back to MJD 0. When all times are equal the line of least
    norm is given, as upstream's least-squares solver does.
    """

    name: ClassVar[str] = "ap_linearFit"
    version: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, float]] = {
        "count": 0.0,
        "time_reference": 0.0,
        "flux_reference": 0.0,
        "weight": 0.0,
        "time_offset": 0.0,
        "flux_offset": 0.0,
        "time_time": 0.0,
        "time_flux": 0.0,
    }
    columns: ClassVar[tuple[str, ...]] = ("psfFluxLinearSlope", "psfFluxLinearIntercept")

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        _fold_line(fields, curves.offsets, starts, curves.midpointMjdTai, curves.psfFlux, curves.psfFluxErr)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        time = fields[:, TIME_REFERENCE] + fields[:, TIME_OFFSET]
        flux = fields[:, FLUX_REFERENCE] + fields[:, FLUX_OFFSET]
        spread = fields[:, TIME_TIME]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(spread > 0.0, fields[:, TIME_FLUX] / spread, flux * time / (time * time + 1.0))
        intercept = np.where(spread > 0.0, flux - slope * time, flux / (time * time + 1.0))
        enough = fields[:, COUNT] >= 2.0
        return {
            "psfFluxLinearSlope": np.where(enough, slope, np.nan),
            "psfFluxLinearIntercept": np.where(enough, intercept, np.nan),
        }
