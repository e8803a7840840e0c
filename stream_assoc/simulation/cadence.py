"""When and where the simulated telescope points."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.simulation.config import SimulationConfig
from stream_assoc.transform.tangent import TangentPlane

NIGHT_BEGINS: Final = 0.1
"""Fraction of the day at which observing begins, TAI."""

_MJD_EPOCH: Final = datetime.date(1858, 11, 17)


@dataclass(frozen=True, slots=True)
class Visit:
    """One exposure of the whole focal plane.

    Attributes
    ----------
    number : `int`
        Position in the survey, from 0.
    visit : `int`
        Identifier in Rubin's form: the date as YYYYMMDD, then five digits.
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
    block = max(1, round(config.pair_minutes * 60.0 / config.visit_seconds))
    half_night = min(block, (config.n_visits + 1) // 2)
    interval_days = _interval_seconds(config, half_night) / 86_400.0
    for night in range(config.n_nights):
        mjd = config.first_night_mjd + night
        bands = config.night_bands[night % len(config.night_bands)]
        planes = [_pointing(config, survey, index % config.n_fields, random) for index in range(config.n_visits)]
        for index in range(config.n_visits):
            round_number, position = divmod(index, half_night)
            is_second = round_number % 2
            yield Visit(
                number=night * config.n_visits + index,
                visit=_visit_id(mjd, index + 1),
                band=bands[is_second],
                midpointMjdTai=mjd + NIGHT_BEGINS + index * interval_days,
                plane=planes[(round_number - is_second) * half_night + position],
            )


def _interval_seconds(config: SimulationConfig, half_block: int) -> float:
    """Stretch the interval in a short night, so that pairs stay as far apart as asked."""
    return max(config.visit_seconds, config.pair_minutes * 60.0 / half_block)


def _pointing(
    config: SimulationConfig, survey: TangentPlane, field: int, random: np.random.Generator
) -> TangentPlane:
    dither = np.radians(random.uniform(-1.0, 1.0, 2) * config.dither_arcsec / 3600.0)
    rotation = random.uniform(-1.0, 1.0) * config.rotation_deg
    step = np.radians(config.pitch_deg * config.detectors_a_side / 2.0)
    x = (field - (config.n_fields - 1) / 2.0) * step + dither[0]
    return TangentPlane.at(survey.unproject(x, dither[1]), rotation)


def _visit_id(mjd: int, sequence: int) -> int:
    date = _MJD_EPOCH + datetime.timedelta(days=mjd)
    return int(date.strftime("%Y%m%d")) * 100_000 + sequence


def survey_extent_deg(config: SimulationConfig) -> tuple[float, float]:
    """Return the full width and height that the visits can reach, dithers and rotation included."""
    camera = config.pitch_deg * config.detectors_a_side
    margin = 0.1 + 2.0 * config.dither_arcsec / 3600.0 + camera * np.sin(np.radians(config.rotation_deg))
    return camera * (1.0 + (config.n_fields - 1) / 2.0) + margin, camera + margin
