"""Skies for the tests of association."""

import numpy as np

from stream_assoc.core.association.associator import SourcePositions
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.vectors import to_radec, unit_vectors

ARCSEC = 1.0 / 3600.0


def scattered(ra: float, dec: float, radius_arcsec: float, n: int, random: np.random.Generator) -> FloatArray:
    """Return n positions (ra, dec) round a place, also at a pole."""
    centre = unit_vectors([ra], [dec])
    return np.column_stack(to_radec(centre + np.radians(radius_arcsec * ARCSEC) * random.normal(size=(n, 3))))


def errors(n: int, random: np.random.Generator) -> FloatArray:
    """Return (raErr, decErr), some of them missing or impossible."""
    values = random.uniform(0.01, 0.5, (n, 2)) * ARCSEC
    values[random.random((n, 2)) < 0.1] = np.nan
    values[random.random((n, 2)) < 0.05] = 0.0
    return values


def make_sources(positions: FloatArray, errs: FloatArray) -> SourcePositions:
    return SourcePositions(positions[:, 0], positions[:, 1], errs[:, 0], errs[:, 1])


def make_objects(positions: FloatArray, errs: FloatArray) -> ObjectPositions:
    n = len(positions)
    return ObjectPositions(
        np.arange(n) + 170_000_000_000_000_001,
        positions[:, 0],
        positions[:, 1],
        errs[:, 0].astype(np.float32),
        errs[:, 1].astype(np.float32),
        np.full(n, 61000.0),
        np.ones(n, np.int32),
    )


def crowded(
    ra: float, dec: float, n_sources: int, n_objects: int, seed: int
) -> tuple[SourcePositions, ObjectPositions]:
    """Return catalogues in which most sources have several candidates."""
    random = np.random.default_rng(seed)
    spread = 0.5 * np.sqrt(n_objects)
    sources = make_sources(scattered(ra, dec, spread, n_sources, random), errors(n_sources, random))
    return sources, make_objects(scattered(ra, dec, spread, n_objects, random), errors(n_objects, random))
