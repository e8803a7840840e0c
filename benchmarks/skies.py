"""A sky of any size, its objects with a history, and the message of a visit of it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from stream_assoc.core.model.batch import Batch, BatchId, measured_columns
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.states import ObjectHistories, ObjectStates, SourcePoints
from stream_assoc.core.model.types import BANDS, FloatArray, IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from tests.pipeline.bench import batch_of

CENTRE_RA, CENTRE_DEC = 50.0, -30.0
VISIT_DEGREES = 3.5
"""Side of a square of about the area of Rubin's field of view."""

MJD = 61_000.0
SCATTER_ARCSEC = 0.1
FIRST_OBJECT_ID = 1 << 58
FIRST_SOURCE_ID = 1 << 59
NEW_FRACTION = 0.1
DIPOLE_FRACTION = 0.07
"""Share of Rubin's detections that a dipole was fitted to; only these have its columns."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a visit is.

    Attributes
    ----------
    n_sources, n_objects : `int`
        Of the visit, and in its region.
    n_points : `int`
        Of each object before the visit, the visit's band and another in turn.
    """

    n_sources: int
    n_objects: int
    n_points: int = 20


def footprint() -> FloatArray:
    """Return the corners of the visit, (ra, dec) in degrees."""
    half = VISIT_DEGREES / 2.0
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    corners[:, 0] /= np.cos(np.radians(CENTRE_DEC))
    outline: FloatArray = corners + np.array([CENTRE_RA, CENTRE_DEC])
    return outline


def scattered(generator: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    """Return positions all over the visit, degrees."""
    across, along = generator.uniform(-VISIT_DEGREES / 2.0, VISIT_DEGREES / 2.0, (2, n)) * 0.99
    return CENTRE_RA + across / np.cos(np.radians(CENTRE_DEC)), CENTRE_DEC + along


def objects_of(size: Size) -> ObjectPositions:
    """Return the objects of the region."""
    ra, dec = scattered(np.random.default_rng(1), size.n_objects)
    n = size.n_objects
    return ObjectPositions(
        diaObjectId=FIRST_OBJECT_ID + np.arange(n, dtype=np.int64),
        ra=ra,
        dec=dec,
        raErr=np.full(n, 2e-5, np.float32),
        decErr=np.full(n, 2e-5, np.float32),
        validityStartMjdTai=np.full(n, MJD - 1.0),
        nDiaSources=np.full(n, size.n_points, np.int32),
    )


def met_objects(size: Size) -> IntArray:
    """Return the rows of the objects that the visit sees again."""
    n_met = min(size.n_objects, round(size.n_sources * (1.0 - NEW_FRACTION)))
    return np.sort(np.random.default_rng(2).choice(size.n_objects, n_met, replace=False))


def histories_of(objects: ObjectPositions, n_points: int) -> ObjectHistories:
    """Return so many points of each of these objects."""
    generator = np.random.default_rng(3)
    n = len(objects) * n_points
    owners = np.repeat(np.arange(len(objects)), n_points)
    flux = generator.normal(1000.0, 100.0, n).astype(np.float32).astype(np.float64)
    error = np.full(n, 50.0)
    scatter_ra, scatter_dec = generator.normal(0.0, SCATTER_ARCSEC / 3600.0, (2, n))
    return ObjectHistories(
        diaObjectId=objects.diaObjectId,
        validityStartMjdTai=objects.validityStartMjdTai,
        raErr=objects.raErr,
        decErr=objects.decErr,
        ra_dec_Cov=np.zeros(len(objects), np.float32),
        offsets=np.arange(len(objects) + 1, dtype=np.int64) * n_points,
        points=SourcePoints(
            ra=objects.ra[owners] + scatter_ra,
            dec=objects.dec[owners] + scatter_dec,
            midpointMjdTai=MJD - 1000.0 + np.tile(np.arange(n_points, dtype=np.float64), len(objects)),
            psfFlux=flux,
            psfFluxErr=error,
            scienceFlux=flux,
            scienceFluxErr=error,
            band=np.tile(np.arange(n_points) % 2 + BANDS.index("r") - 1, len(objects)),
            flag=np.zeros(n, np.bool_),
        ),
    )


def states_of(calculator: StatisticsCalculator, objects: ObjectPositions, n_points: int) -> ObjectStates:
    """Return the states of these objects after their history."""
    return calculator.rebuild(histories_of(objects, n_points))


def with_every_column(table: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Fill the other columns of DIASource as Rubin's detections do: all, but a dipole's in few rows."""
    n = len(table)
    is_dipole = generator.random(n) < DIPOLE_FRACTION
    more = {}
    for name in measured_columns():
        if name in table:
            continue
        kind = apdb_table("DiaSource").column(name).arrow_type
        if pa.types.is_floating(kind):
            values = generator.normal(10.0, 1.0, n)
            more[name] = np.where(is_dipole, values, np.nan) if name.startswith("dipole") else values
        else:
            more[name] = np.zeros(n, np.bool_ if pa.types.is_boolean(kind) else np.int64)
    return pd.concat([table, pd.DataFrame(more, table.index)], axis=1)


def drawn_objects(size: Size, visit: int) -> IntArray:
    """Return the rows of as many objects as there are sources, others for each visit."""
    return np.sort(np.random.default_rng((3, visit)).choice(size.n_objects, size.n_sources, replace=False))


def visit_of(size: Size, objects: ObjectPositions, visit: int = 1, met: IntArray | None = None) -> Batch:
    """Return the visit: a source of each object met, by default most of its sources; the others belong to none."""
    generator = np.random.default_rng(4 + visit)
    if met is None:
        met = met_objects(size)
    new_ra, new_dec = scattered(generator, size.n_sources - len(met))
    scatter_ra, scatter_dec = generator.normal(0.0, SCATTER_ARCSEC / 3600.0, (2, len(met)))
    n = size.n_sources
    table = pd.DataFrame(
        {
            "diaSourceId": FIRST_SOURCE_ID + visit * 1_000_000 + np.arange(n, dtype=np.int64),
            "ra": np.concatenate([objects.ra[met] + scatter_ra, new_ra]),
            "dec": np.concatenate([objects.dec[met] + scatter_dec, new_dec]),
            "raErr": np.full(n, 2e-5),
            "decErr": np.full(n, 2e-5),
            "x": generator.uniform(0, 4000, n),
            "y": generator.uniform(0, 4000, n),
            "psfFlux": generator.normal(1000.0, 100.0, n),
            "psfFluxErr": np.full(n, 50.0),
            "scienceFlux": generator.normal(1000.0, 100.0, n),
            "scienceFluxErr": np.full(n, 50.0),
            "snr": np.full(n, 20.0),
            "reliability": np.full(n, 0.9),
        }
    ).sample(frac=1.0, random_state=5)
    table = with_every_column(table, generator)
    return batch_of(table, BatchId(visit, 1), "r", MJD + visit / 1000.0, footprint())
