"""Forced sources of the demo, compared with the true fluxes."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.compute as pc

from stream_assoc.apps.demo.stage import APDB_FILE
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import FloatArray
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.files import IMAGES_NAME, read_config, read_light
from stream_assoc.tools.simulation.light import Light

MODEL_ERROR: Final = 0.0003
"""Relative error of the expected fluxes."""

EDGE_PIXELS: Final = 4.0
"""Fluxes nearer than this to the edge of an image are not compared."""

_COLUMNS: Final = ("visit", "detector", "ra", "dec", "psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr")


@dataclass(frozen=True, slots=True)
class Pulls:
    """How far measured fluxes are from the true ones, in units of their errors.

    Attributes
    ----------
    mean, width : `float`
        Of all pulls; the width is their standard deviation.
    n : `int`
        Number of fluxes compared.
    """

    mean: float
    width: float
    n: int


def count_forced_sources(folder: Path) -> int:
    """Return the number of stored forced sources."""
    with closing(sqlite3.connect(folder / APDB_FILE)) as connection:
        return int(connection.execute('SELECT count(*) FROM "DiaForcedSource"').fetchone()[0])


def pulls(folder: Path) -> Pulls:
    """Compare the stored forced sources with the true fluxes at their positions."""
    from stream_assoc.tools.simulation.images import pixels_to_edge

    config, light = read_config(folder), read_light(folder)
    with closing(sqlite3.connect(folder / APDB_FILE)) as connection:
        names = ", ".join(f'"{name}"' for name in _COLUMNS)
        rows = connection.execute(
            f'SELECT {names} FROM "DiaForcedSource" WHERE "psfFlux" IS NOT NULL AND "scienceFlux" IS NOT NULL'
        ).fetchall()
    # Visits are above 2**53 in no survey, so a float holds them.
    table = np.array(rows, np.float64).reshape(-1, len(_COLUMNS))
    parts = [np.empty(0)]
    for visit, detector in np.unique(table[:, :2], axis=0).tolist():
        measured = table[(table[:, 0] == visit) & (table[:, 1] == detector)]
        shining = light.filter(
            pc.and_(pc.equal(light["visit"], int(visit)), pc.equal(light["detector"], int(detector)))
        )
        batch = BatchId(int(visit), int(detector))
        inside = pixels_to_edge(folder / IMAGES_NAME, batch, measured[:, 2], measured[:, 3]) > EDGE_PIXELS
        parts.append(_pulls(config, Light.of(shining), measured[inside]))
    every = np.concatenate(parts)
    return Pulls(float(np.mean(every)), float(np.std(every)), len(every)) if len(every) else Pulls(0.0, 0.0, 0)


def _pulls(config: SimulationConfig, light: Light, measured: FloatArray) -> FloatArray:
    from stream_assoc.tools.simulation.images import expected_fluxes

    expected = expected_fluxes(config, light, measured[:, 2], measured[:, 3])
    pairs = zip(expected, ((4, 5), (6, 7)), strict=True)
    return np.concatenate(
        [
            (measured[:, flux] - true) / np.hypot(measured[:, error], MODEL_ERROR * np.abs(true))
            for true, (flux, error) in pairs
        ]
    )
