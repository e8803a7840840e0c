"""Small batches with chosen positions, and small simulated nights."""

import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stream_assoc.core.model.batch import Batch, BatchId, SolarSystemObjects
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.pipeline.batches import Outcome, Processed, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.stores.apdb.create import init
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.night import simulate
from stream_assoc.tools.transform.batches import content_digest
from stream_assoc.tools.transform.footprints import TangentPlane
from tests.pipeline.bench import APDB_FILE, batch_of, services_in

BIG = 2**60
"""Added to every identifier, so that none survives a float64."""

ARCSEC = 1.0 / 3600.0
CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
MJD = 61_000.25
PINNED = {"daemon": {"pin_clock_mjd": 62_000.0}}

SMALL_NIGHT = SimulationConfig(
    n_detectors=2,
    n_visits=8,
    n_fields=1,
    variables=500.0,
    transients=50.0,
    asteroids=60.0,
    artifacts=150.0,
    pair_minutes=2.0,
)


@functools.cache
def night() -> tuple[Batch, ...]:
    """Eight visits of two overlapping detectors."""
    return tuple(simulated.batch for simulated in simulate(SMALL_NIGHT))


def pinned_services(folder: Path, **sections: Any) -> Services:
    """Return services with a pinned clock, on the APDB in this folder or a new one."""
    folder.mkdir(exist_ok=True)
    if not (folder / APDB_FILE).exists():
        (folder / APDB_FILE).write_bytes(_empty_apdb())
    return services_in(folder, **{**PINNED, **sections})


@functools.cache
def _empty_apdb() -> bytes:
    """Return the file of an empty APDB: making one takes a second, copying it none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / APDB_FILE
        init(f"sqlite:///{file}")
        return file.read_bytes()


def apdb_url(folder: Path) -> str:
    return f"sqlite:///{folder / APDB_FILE}"


def square(ra: float, dec: float, half_width_deg: float = 0.1) -> np.ndarray:
    """Return the corners of a square on the sky, wherever it is."""
    half = half_width_deg * 3600.0
    return np.array([offset(ra, dec, east * half, north * half) for east, north in CORNERS])


def offset(ra: float, dec: float, east_arcsec: float, north_arcsec: float) -> tuple[float, float]:
    """Return the position that lies this far from another, also at a pole and where ra wraps."""
    plane = TangentPlane.at(unit_vectors([ra], [dec])[0])
    moved = plane.unproject(np.radians([east_arcsec * ARCSEC]), np.radians([north_arcsec * ARCSEC]))
    (moved_ra,), (moved_dec,) = to_radec(moved)
    return float(moved_ra), float(moved_dec)


def batch(
    visit: int,
    ra: list[float],
    dec: list[float],
    *,
    detector: int = 0,
    ids: list[int] | None = None,
    footprint: np.ndarray | None = None,
    solar_system_objects: SolarSystemObjects | None = None,
    band: str = "r",
    **columns: Any,
) -> Batch:
    """Return a batch of good sources at these positions, with unique ids unless given."""
    n = len(ra)
    table = pd.DataFrame(
        {
            "diaSourceId": np.array(
                [BIG + visit * 1_000_000 + detector * 10_000 + i for i in range(n)] if ids is None else ids, np.int64
            ),
            "ra": np.array(ra, np.float64),
            "dec": np.array(dec, np.float64),
            "raErr": np.full(n, 0.05 * ARCSEC),
            "decErr": np.full(n, 0.05 * ARCSEC),
            "x": np.linspace(10.0, 20.0, n),
            "y": np.linspace(20.0, 10.0, n),
            "psfFlux": 1000.0 + np.arange(n),
            "psfFluxErr": np.full(n, 10.0),
            "scienceFlux": 2000.0 + np.arange(n),
            "scienceFluxErr": np.full(n, 10.0),
            "reliability": np.full(n, 0.9),
            **columns,
        }
    )
    outline = footprint if footprint is not None else square(ra[0] if n else 150.0, dec[0] if n else 2.0)
    made = batch_of(table, BatchId(visit, detector), band, MJD + visit, outline)
    made = replace(made, solar_system_objects=solar_system_objects or SolarSystemObjects.none())
    return replace(made, digest=content_digest(made))


def position(offset_: int, partition: int = 0) -> InputPosition:
    return InputPosition("dia-sources", partition, offset_)


def process_from(services: Services, first_offset: int, *batches: Batch) -> list[Outcome]:
    """Process batches together, as if read from consecutive offsets of one partition."""
    return process_batches(
        [arrive(one, services, position(first_offset + i)) for i, one in enumerate(batches)], services
    )


def processed_from(services: Services, first_offset: int, *batches: Batch) -> list[Processed]:
    """Process batches of which each must count, as `process_from` does."""
    outcomes = process_from(services, first_offset, *batches)
    processed = [outcome for outcome in outcomes if isinstance(outcome, Processed)]
    assert processed == outcomes
    return processed
