"""The simulated telescope: the detectors of its camera, and when and where it points."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.times import SECONDS_PER_DAY, day_obs
from stream_assoc.core.model.types import BoolArray, FloatArray
from stream_assoc.core.sky.vectors import to_radec
from stream_assoc.tools.simulation.config import MOST_VISITS_A_NIGHT, NIGHT_BEGINS, SimulationConfig
from stream_assoc.tools.transform.footprints import TangentPlane

PIXELS_A_SIDE = 4_000
"""Pixels along a side of a detector."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A square of the focal plane, in tangent-plane radians about the camera's axis.

    Attributes
    ----------
    number : `int`
        From 0, row by row.
    x, y : `float`
        Lower left corner.
    size : `float`
        Side.
    """

    number: int
    x: float
    y: float
    size: float

    def footprint(self, plane: TangentPlane) -> FloatArray:
        """Return the corners on the sky, (ra, dec) in degrees, shape (4, 2).

        The projection is gnomonic, so the spherical polygon through them is
        the detector exactly.
        """
        x = self.x + self.size * np.array([0.0, 1.0, 1.0, 0.0])
        y = self.y + self.size * np.array([0.0, 0.0, 1.0, 1.0])
        return np.stack(to_radec(plane.unproject(x, y)), axis=1)

    def contains(self, x: FloatArray, y: FloatArray, margin: float = 0.0) -> BoolArray:
        """Tell which plane coordinates are on the detector, grown by ``margin`` radians."""
        return (
            (x >= self.x - margin)
            & (x <= self.x + self.size + margin)
            & (y >= self.y - margin)
            & (y <= self.y + self.size + margin)
        )

    def pixels(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return plane coordinates as pixels from the lower left corner."""
        return (x - self.x) / self.size * PIXELS_A_SIDE, (y - self.y) / self.size * PIXELS_A_SIDE


def focal_plane(config: SimulationConfig) -> tuple[Detector, ...]:
    """Return the detectors of the camera, centred on its axis."""
    side, pitch = config.detectors_a_side, np.radians(config.pitch_deg)
    size = np.radians(config.detector_size_deg)
    corner = -(pitch * (side - 1) + size) / 2.0
    places = [(number, *divmod(number, side)) for number in range(config.n_detectors)]
    return tuple(
        Detector(number, corner + column * pitch, corner + row * pitch, size) for number, row, column in places
    )


_SEEDS: Final = 99
"""Seeds that have visit numbers of their own: as many thousands as fit into the five digits of a night."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One exposure of the whole focal plane.

    Attributes
    ----------
    number : `int`
        Position in the survey, from 0.
    visit : `int`
        Identifier in Rubin's form: the night (`~stream_assoc.core.model.times.DayObs`) as YYYYMMDD, then five digits.
        Surveys of different seeds from 0 to 98 share none.
    band : `str`
    midpointMjdTai : `float`
    plane : `TangentPlane`
        Touches the sky where the telescope points, its axes those of the camera.
    """

    number: int
    visit: int
    band: str
    midpointMjdTai: float
    plane: TangentPlane


def plan_visits(config: SimulationConfig, survey: TangentPlane) -> Iterator[Visit]:
    """Give the visits of the survey in the order of time.

    A night is a sequence of blocks. A block goes round the fields in one band
    for about `SimulationConfig.pair_minutes`, and then through the same
    pointings again in the other band, so that everything is seen twice.

    Parameters
    ----------
    config : `SimulationConfig`
    survey : `TangentPlane`
        Touches the sky at the centre of the survey.
    """
    random = np.random.default_rng([config.seed, 1])
    half_block = config.half_block
    interval_days = config.interval_seconds / SECONDS_PER_DAY
    for night in range(config.n_nights):
        mjd = config.first_night_mjd + night
        bands = config.night_bands[night % len(config.night_bands)]
        planes = [_pointing(config, survey, index % config.n_fields, random) for index in range(config.n_visits)]
        for index in range(config.n_visits):
            round_number, position = divmod(index, half_block)
            is_second = round_number % 2
            yield Visit(
                number=night * config.n_visits + index,
                visit=_visit_id(config, mjd, index),
                band=bands[is_second],
                midpointMjdTai=mjd + NIGHT_BEGINS + index * interval_days,
                plane=planes[(round_number - is_second) * half_block + position],
            )


def _pointing(
    config: SimulationConfig, survey: TangentPlane, field: int, random: np.random.Generator
) -> TangentPlane:
    dither = np.radians(random.uniform(-1.0, 1.0, 2) * config.dither_arcsec / 3600.0)
    rotation = random.uniform(-1.0, 1.0) * config.rotation_deg
    step = np.radians(config.pitch_deg * config.detectors_a_side / 2.0)
    x = (field - (config.n_fields - 1) / 2.0) * step + dither[0]
    return TangentPlane.at(survey.unproject(x, dither[1]), rotation)


def _visit_id(config: SimulationConfig, mjd: int, index: int) -> int:
    sequence = config.seed % _SEEDS * MOST_VISITS_A_NIGHT + index + 1
    return day_obs(mjd + NIGHT_BEGINS) * 100_000 + sequence


def survey_extent_deg(config: SimulationConfig) -> tuple[float, float]:
    """Return the full width and height that the visits can reach, dithers and rotation included."""
    camera = config.pitch_deg * config.detectors_a_side
    margin = 0.1 + 2.0 * config.dither_arcsec / 3600.0 + camera * np.sin(np.radians(config.rotation_deg))
    return camera * (1.0 + (config.n_fields - 1) / 2.0) + margin, camera + margin
