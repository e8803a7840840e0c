"""When and where the simulated telescope points."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.times import SECONDS_PER_DAY, day_obs
from stream_assoc.tools.simulation.config import MOST_VISITS_A_NIGHT, NIGHT_BEGINS, SimulationConfig
from stream_assoc.tools.transform.tangent import TangentPlane

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
