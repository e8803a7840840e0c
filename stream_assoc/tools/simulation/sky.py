"""The sources of light of a simulated sky."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.telescope import survey_extent_deg
from stream_assoc.tools.simulation.truth import KINDS
from stream_assoc.tools.transform.footprints import TangentPlane

AB_ZEROPOINT_NJY: Final = 31.4
"""AB magnitude of 1 nJy."""

FIVE_SIGMA_DEPTH: Final = {"u": 23.9, "g": 25.0, "r": 24.7, "i": 24.0, "z": 23.3, "y": 22.1}
"""Single-visit depth of Rubin for a point source (Ivezić et al. 2019, table 2)."""

COLOUR: Final = {"u": 1.0, "g": 0.3, "r": 0.0, "i": -0.1, "z": -0.15, "y": -0.2}
"""Magnitude minus that in r, a middling star's."""

CALIBRATION_ERROR: Final = 0.005
"""Relative error of every flux, whatever its signal to noise."""


def flux_njy(magnitude: FloatArray) -> FloatArray:
    """Return AB magnitudes as fluxes in nJy."""
    return np.asarray(10.0 ** (0.4 * (AB_ZEROPOINT_NJY - magnitude)))


def flux_error_njy(total_flux: FloatArray, band: str) -> FloatArray:
    """Return the standard deviation of a difference flux, nJy.

    The sky's share follows from the depth of the band; the source's own is
    proportional to its flux on the direct image.
    """
    sky = flux_njy(np.array(FIVE_SIGMA_DEPTH[band])) / 5.0
    return np.asarray(np.hypot(sky, CALIBRATION_ERROR * total_flux), dtype=np.float64)


def position_error_arcsec(snr: FloatArray, seeing_arcsec: float, floor_arcsec: float) -> FloatArray:
    """Return the standard deviation of a position along one axis, arcsec.

    For a Gaussian profile of known width on a flat background it is √2 σ over
    the signal to noise (Condon 1997, PASP 109, 166), here with a floor.
    """
    sigma = seeing_arcsec / np.sqrt(8.0 * np.log(2.0))
    return np.asarray(np.hypot(floor_arcsec, sigma * np.sqrt(2.0) / snr), dtype=np.float64)


def sinusoid(phase: FloatArray) -> FloatArray:
    """Return a magnitude offset with amplitude 1 and mean 0; ``phase`` in turns."""
    return np.asarray(np.sin(2.0 * np.pi * phase))


def rr_lyrae(phase: FloatArray) -> FloatArray:
    """Return a magnitude offset with a fast rise and a slow decline, in [-1, 1] with mean 0."""
    turn = phase % 1.0
    rise = 0.15
    return np.asarray(np.where(turn < rise, 1.0 - 2.0 * turn / rise, -1.0 + 2.0 * (turn - rise) / (1.0 - rise)))


def supernova(days: FloatArray, rise: FloatArray, fall: FloatArray) -> FloatArray:
    """Return a transient's flux relative to its peak, ``days`` after it.

    The exponential rise and fall of Bazin et al. 2009 (A&A 499, 653), shifted
    and scaled so that the greatest value is 1, at 0.
    """
    shifted = days + rise * np.log(fall / rise - 1.0)
    peak = _bazin(rise * np.log(fall / rise - 1.0), rise, fall)
    return _bazin(shifted, rise, fall) / peak


def _bazin(days: FloatArray, rise: FloatArray, fall: FloatArray) -> FloatArray:
    bounded = np.clip(days, -300.0, 1000.0)
    return np.asarray(np.exp(-bounded / fall) / (1.0 + np.exp(-bounded / rise)))


FIRST_SS_OBJECT_ID: Final = 21_163_607_367_955_000
_SS_OBJECTS_A_SEED: Final = 1_000_000
"""Room for the asteroids of one seed, so that those of two seeds are not taken for each other."""
_VARIABLE, _TRANSIENT, _ASTEROID = (KINDS.index(kind) for kind in ("variable", "transient", "asteroid"))


@dataclass(frozen=True, slots=True)
class SimulatedSky:
    """Everything that shines, in columns of one length: variables, then transients, then asteroids.

    Attributes
    ----------
    truth_id : `numpy.ndarray` [int64]
        From 1.
    kind : `numpy.ndarray` [int64]
        Index into `~stream_assoc.tools.simulation.truth.KINDS`.
    ssObjectId : `numpy.ndarray` [int64]
        Of known asteroids, else 0.
    direction : `numpy.ndarray` [float64], shape (n, 3)
        Unit vector at `epoch`.
    motion : `numpy.ndarray` [float64], shape (n, 3)
        Radians a day, perpendicular to ``direction``; 0 for what does not move.
    magnitude : `numpy.ndarray` [float64]
        In r: the mean of a variable, the peak of a transient.
    amplitude, period, phase : `numpy.ndarray` [float64]
        Of variables: magnitudes, days, turns.
    is_rr_lyrae : `numpy.ndarray` [bool]
    peak, rise, fall : `numpy.ndarray` [float64]
        Of transients: MJD, days, days.
    epoch : `float`
        MJD TAI.
    """

    truth_id: IntArray
    kind: IntArray
    ssObjectId: IntArray
    direction: FloatArray
    motion: FloatArray
    magnitude: FloatArray
    amplitude: FloatArray
    period: FloatArray
    phase: FloatArray
    is_rr_lyrae: BoolArray
    peak: FloatArray
    rise: FloatArray
    fall: FloatArray
    epoch: float

    def __len__(self) -> int:
        return len(self.truth_id)

    def directions(self, mjd: float) -> FloatArray:
        """Return where everything is: each moves along its great circle. Shape (n, 3)."""
        speed = np.linalg.norm(self.motion, axis=1)
        angle = (speed * (mjd - self.epoch))[:, np.newaxis]
        heading = self.motion / np.where(speed == 0.0, 1.0, speed)[:, np.newaxis]
        return np.asarray(np.cos(angle) * self.direction + np.sin(angle) * heading)

    def fluxes(self, mjd: float, band: str) -> tuple[FloatArray, FloatArray]:
        """Return the fluxes on the difference and on the direct image, nJy, shape (n,) each.

        The template holds the mean magnitude of a variable, and nothing of what
        comes and goes.
        """
        colour = np.where(self.kind == _VARIABLE, COLOUR[band], 0.5 * COLOUR[band])
        template = np.where(self.kind == _VARIABLE, flux_njy(self.magnitude + colour), 0.0)
        turns = (mjd - self.epoch) / self.period + self.phase
        shape = np.where(self.is_rr_lyrae, rr_lyrae(turns), sinusoid(turns))
        offset = np.where(self.kind == _VARIABLE, self.amplitude * shape, 0.0)
        fading = np.where(self.kind == _TRANSIENT, supernova(mjd - self.peak, self.rise, self.fall), 1.0)
        science = flux_njy(self.magnitude + colour + offset) * fading
        return science - template, science


def simulate_sky(config: SimulationConfig, survey: TangentPlane) -> SimulatedSky:
    """Draw the sky of a survey.

    Variables are half sinusoids, half RR Lyrae, with periods from 5 hours to
    100 days. Asteroids move like the main belt, 0.1 to 0.4 deg a day, and are
    spread wide enough that as many enter the survey as leave it.
    """
    random = np.random.default_rng([config.seed, 0])
    width, height = survey_extent_deg(config)
    reach = 0.8 * (config.n_nights - 1)
    area, wide_area = width * height, (width + reach) * (height + reach)
    counts = [
        int(random.poisson(density * size))
        for density, size in ((config.variables, area), (config.transients, area), (config.asteroids, wide_area))
    ]
    n = sum(counts)
    kind = np.repeat(np.array([_VARIABLE, _TRANSIENT, _ASTEROID], dtype=np.int64), counts)
    is_asteroid = kind == _ASTEROID
    spread = np.where(is_asteroid, reach, 0.0)
    x = np.radians(random.uniform(-0.5, 0.5, n) * (width + spread))
    y = np.radians(random.uniform(-0.5, 0.5, n) * (height + spread))
    direction = survey.unproject(x, y)
    known = is_asteroid & (random.uniform(size=n) < config.known_asteroids)
    begin = float(config.first_night_mjd)
    rise = random.uniform(2.0, 6.0, n)
    return SimulatedSky(
        truth_id=np.arange(1, n + 1),
        kind=kind,
        ssObjectId=np.where(known, FIRST_SS_OBJECT_ID + config.seed * _SS_OBJECTS_A_SEED + np.arange(n), 0),
        direction=direction,
        motion=_motions(direction, random) * is_asteroid[:, np.newaxis],
        magnitude=np.where(kind == _VARIABLE, random.uniform(17.0, 22.5, n), random.uniform(19.0, 23.5, n)),
        amplitude=random.uniform(0.1, 0.8, n),
        period=np.exp(random.uniform(np.log(0.2), np.log(100.0), n)),
        phase=random.uniform(size=n),
        is_rr_lyrae=random.uniform(size=n) < 0.5,
        peak=begin + random.uniform(-20.0, 10.0 + config.n_nights, n),
        rise=rise,
        fall=rise * random.uniform(3.0, 10.0, n),
        epoch=begin + config.n_nights / 2.0,
    )


def _motions(direction: FloatArray, random: np.random.Generator) -> FloatArray:
    speed = np.radians(random.uniform(0.1, 0.4, len(direction)))
    any_direction = random.normal(size=direction.shape)
    tangent = np.cross(direction, any_direction)
    return np.asarray(tangent / np.linalg.norm(tangent, axis=1, keepdims=True) * speed[:, np.newaxis])
