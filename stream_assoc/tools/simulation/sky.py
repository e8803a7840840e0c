"""The sources of light of a simulated sky."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.tools.simulation.cadence import survey_extent_deg
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.photometry import COLOUR, flux_njy, rr_lyrae, sinusoid, supernova
from stream_assoc.tools.simulation.truth import KINDS
from stream_assoc.tools.transform.tangent import TangentPlane

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
