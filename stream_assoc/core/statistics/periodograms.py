"""Periods of light curves: the highest peak of a Lomb-Scargle periodogram.

Computed by astropy, which is imported when the first periodogram is. They are
optional, because a light curve is searched again whenever it has grown, which
costs about 10 ms at ten points in one band and half a second over all bands,
and more with every point; the other statistics cost microseconds.

VanderPlas, J. T. 2018, ApJS 236, 16; VanderPlas, J. T. & Ivezić, Ž. 2015, ApJ 812, 18.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from stream_assoc.core.model.states import N_BANDS, LightCurves
from stream_assoc.core.model.types import BANDS, BoolArray, FloatArray, IntArray

MIN_POINTS: Final = 5
MIN_POINTS_MULTI: Final = 9
OVERSAMPLING: Final = 5
NYQUIST_FACTOR: Final = 100


def best_period(time: FloatArray, flux: FloatArray, error: FloatArray) -> tuple[float, float]:
    """Return the period of the highest peak of one light curve, and its power.

    Parameters
    ----------
    time, flux, error : `numpy.ndarray` [float64], shape (n,)
        Days and nJy. What is not finite, or has no positive error, is left out.

    Returns
    -------
    period : `float`
        Days.
    power : `float`
        Standard normalisation, in [0, 1]. Both are NaN below five usable
        points, or where all times or all fluxes are equal: the power of a
        constant is the ratio of two rounding errors.
    """
    from astropy.timeseries import LombScargle

    usable = _usable(time, flux, error)
    time, flux, error = time[usable], flux[usable], error[usable]
    if len(time) < MIN_POINTS or np.ptp(flux) == 0.0:
        return math.nan, math.nan
    frequency, power = _highest_peak(LombScargle(time, flux, dy=error), time)
    return 1.0 / frequency, power


def best_common_period(time: FloatArray, flux: FloatArray, error: FloatArray, band: IntArray) -> FloatArray:
    """Return the period common to all bands of an object, and what comes with it.

    Parameters
    ----------
    time, flux, error : `numpy.ndarray` [float64], shape (n,)
        Days and nJy. What is not finite, or has no positive error, is left out.
    band : `numpy.ndarray` [int64], shape (n,)
        Index into `~stream_assoc.core.model.types.BANDS`.

    Returns
    -------
    values : `numpy.ndarray` [float64], shape (15,)
        Period in days, power, false-alarm probability; then, band by band,
        the amplitude in nJy and the phase in radians of the band's own
        sinusoid. All are NaN below nine usable points, or where all times or
        all fluxes of each band are equal; amplitude and phase also in a band without a point.
    """
    from astropy.timeseries import LombScargleMultiband

    values = np.full(3 + 2 * N_BANDS, np.nan)
    usable = _usable(time, flux, error)
    time, flux, error, band = time[usable], flux[usable], error[usable], band[usable]
    if len(time) < MIN_POINTS_MULTI or all(np.ptp(flux[band == one]) == 0.0 for one in np.unique(band)):
        return values
    model = LombScargleMultiband(time, flux, band, dy=error, nterms_base=1, nterms_band=1)
    frequency, power = _highest_peak(model, time)
    if math.isnan(frequency):
        return values
    values[:3] = 1.0 / frequency, power, false_alarm_probability(time, frequency, power)
    # Offset, sine and cosine of the base model, then of each band in ascending order.
    terms = np.asarray(model.model_parameters(frequency, units=False)).reshape(-1, 3)[1:]
    for index, (_, sine, cosine) in zip(np.unique(band), terms, strict=True):
        values[3 + 2 * index : 5 + 2 * index] = math.hypot(sine, cosine), math.atan2(cosine, sine)
    return values


def false_alarm_probability(time: FloatArray, frequency: float, power: float) -> float:
    """Return how probable a peak so high is in noise alone.

    Parameters
    ----------
    time : `numpy.ndarray` [float64], shape (n,)
        Days.
    frequency : `float`
        Of the peak, per day.
    power : `float`
        Of the peak, in [0, 1].

    Returns
    -------
    probability : `float`

    Notes
    -----
    Baluev, R. V. 2008, MNRAS 385, 1279, as upstream has it: the half-integer
    gamma functions are factorials of rounded-down integers there, whose ratio is 1
    for an even number of points and ``(n - 1) / 2`` for an odd one, and the
    highest frequency is that of the peak.
    """
    n = len(time)
    ratio = (n - 1) / 2 if n % 2 else 1.0
    spread = math.sqrt(4.0 * math.pi * float(np.var(time, ddof=1)))
    # Rounding may leave a perfect fit a hair above 1.
    left = max(1.0 - power, 0.0)
    return ratio * spread * frequency * float(left ** ((n - 4) / 2)) * math.sqrt(max(power, 0.0))


def _usable(time: FloatArray, flux: FloatArray, error: FloatArray) -> BoolArray:
    with np.errstate(divide="ignore", over="ignore"):
        weight = 1.0 / (error * error)
    usable = np.isfinite(time) & np.isfinite(flux) & np.isfinite(error) & np.isfinite(weight) & (error > 0.0)
    return np.asarray(usable, dtype=np.bool_)


def _highest_peak(model: Any, time: FloatArray) -> tuple[float, float]:  # noqa: ANN401 - astropy has no types
    baseline = float(np.ptp(time))
    if baseline == 0.0:
        return math.nan, math.nan
    step = 1.0 / baseline / OVERSAMPLING
    frequencies = step + step * np.arange(OVERSAMPLING * NYQUIST_FACTOR * len(time) // 2)
    power = np.asarray(model.power(frequencies))
    highest = int(np.argmax(power))
    return float(frequencies[highest]), float(power[highest])


@dataclass(frozen=True, slots=True)
class Periodogram:
    """``ap_lombScarglePeriodogram``: best period of psfFlux in one band and its power; see `best_period`."""

    name: ClassVar[str] = "ap_lombScarglePeriodogram"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"period": math.nan, "power": math.nan}
    columns: ClassVar[tuple[str, ...]] = ("period", "power")

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `BandPlugin.fold`."""
        for slot in np.flatnonzero(starts < curves.offsets[1:]):
            points = slice(curves.offsets[slot], curves.offsets[slot + 1])
            fields[slot] = best_period(
                curves.midpointMjdTai[points], curves.psfFlux[points], curves.psfFluxErr[points]
            )

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {name: fields[:, index] for index, name in enumerate(self.columns)}


@dataclass(frozen=True, slots=True)
class MultibandPeriodogram:
    """``ap_lombScarglePeriodogramMulti``: best period of psfFlux over all bands; see `best_common_period`."""

    name: ClassVar[str] = "ap_lombScarglePeriodogramMulti"
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = (
        "multiPeriod",
        "multiPower",
        "multiFap",
        *(f"{band}_multi{name}" for band in BANDS for name in ("Amp", "Phase")),
    )
    fields: ClassVar[Mapping[str, float]] = dict.fromkeys(columns, math.nan)

    def fold_light_curves(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Fold new points; see `LightCurvePlugin.fold_light_curves`."""
        grown = (starts < curves.offsets[1:]).reshape(-1, N_BANDS).any(axis=1)
        for row in np.flatnonzero(grown):
            ends = curves.offsets[row * N_BANDS : (row + 1) * N_BANDS + 1]
            points = slice(ends[0], ends[-1])
            fields[row] = best_common_period(
                curves.midpointMjdTai[points],
                curves.psfFlux[points],
                curves.psfFluxErr[points],
                np.repeat(np.arange(N_BANDS), np.diff(ends)),
            )

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {name: fields[:, index] for index, name in enumerate(self.columns)}
