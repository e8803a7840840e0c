"""Visits of a field of any size, as the real pipeline makes them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.skies import MJD, SCATTER_ARCSEC, with_every_column
from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.types import FloatArray
from tests.pipeline.bench import batch_of

CENTRE_RA, CENTRE_DEC = 10.0, -30.0
FIELD_VISITS = 1000
FIELD_DEGREES = 30.0
"""Every thousandth visit begins another field, so far on."""

DAYS_BETWEEN = 3.0
"""Sixty visits take half a year, and lie in seven of the 30 days that dax_apdb keeps together."""


def visits(n_sources: int, square_degrees: float, first: int = 1) -> Iterator[Batch]:
    """Yield visits that see the same objects again, in a square; the first one makes them.

    Those that begin with another number see another field.
    """
    ra, dec = positions(n_sources, square_degrees)
    centre_ra, number = CENTRE_RA + first // FIELD_VISITS * FIELD_DEGREES, first - 1
    while True:
        number += 1
        yield _visit(number, centre_ra, ra + centre_ra, dec, square_degrees**0.5)


def positions(n: int, square_degrees: float) -> tuple[FloatArray, FloatArray]:
    """Return positions all over a square, right ascension from its middle."""
    random, side = np.random.default_rng(1), square_degrees**0.5
    dec = CENTRE_DEC + side * (random.random(n) - 0.5)
    return side * (random.random(n) - 0.5) / np.cos(np.radians(CENTRE_DEC)), dec


def _visit(number: int, centre_ra: float, ra: FloatArray, dec: FloatArray, side: float) -> Batch:
    random, n = np.random.default_rng((2, number)), len(ra)
    scatter_ra, scatter_dec = random.normal(0.0, SCATTER_ARCSEC / 3600.0, (2, n))
    sources = pd.DataFrame(
        {
            "diaSourceId": (number << 32) + np.arange(n, dtype=np.int64),
            "ra": ra + scatter_ra,
            "dec": dec + scatter_dec,
            "raErr": np.full(n, 2e-5),
            "decErr": np.full(n, 2e-5),
            "psfFlux": random.normal(1000.0, 100.0, n),
            "psfFluxErr": np.full(n, 50.0),
            "scienceFlux": random.normal(1000.0, 100.0, n),
            "scienceFluxErr": np.full(n, 50.0),
            "snr": np.full(n, 20.0),
            "reliability": np.full(n, 0.9),
        }
    )
    half = 1.01 * side / 2.0
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    corners[:, 0] /= np.cos(np.radians(CENTRE_DEC))
    corners += np.array([centre_ra, CENTRE_DEC])
    table = with_every_column(sources, random)
    return batch_of(
        table,
        BatchId(number, 1),
        "ugrizy"[number % 6],
        MJD + DAYS_BETWEEN * (number % FIELD_VISITS),
        corners,
    )
