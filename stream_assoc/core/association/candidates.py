"""Pairs of a source and an object that are close enough to be one thing.

The catalogue of objects is much the larger one and is used once, so no index
of it is built. The sources are hashed into the cells their circles touch
(`stream_assoc.core.association.cells`), and the objects are streamed past them: an
object needs one cell and one bit, which tells for nearly all of them that no
source is waiting there. The few others need a look-up, and their trigonometry
only when they meet a source.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit

from stream_assoc.core.association.cells import (
    Grid,
    Keys,
    TouchedCells,
    first_circle,
    grid_for,
    is_position,
    next_circle,
    rows_in_touched_cells,
    touched_cells,
)
from stream_assoc.core.exceptions import TooManyCandidatesError
from stream_assoc.core.model.positions import has_position
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, read_only, unit_vectors

MAX_PAIRS: Final = 2_000_000
"""The default of association.max_candidate_pairs: a visit of Rubin has about ten thousand."""

MAX_MEETINGS: Final = 500_000_000
"""How many separations are computed before a batch is given up, some seconds of work."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """All pairs within the radius, ascending by source, then by object.

    Attributes
    ----------
    source_row, object_row : `numpy.ndarray` [int64], shape (n_pairs,)
        Rows of the two catalogues.
    chord : `numpy.ndarray` [float64], shape (n_pairs,)
        Distance between the unit vectors, at most the radius in radians.
    """

    source_row: IntArray
    object_row: IntArray
    chord: FloatArray

    def __len__(self) -> int:
        return len(self.source_row)

    @property
    def separation_arcsec(self) -> FloatArray:
        """Angle of each pair, arcseconds, float64, shape (n_pairs,)."""
        return 2.0 * np.arcsin(self.chord / 2.0) * ARCSEC_PER_RADIAN


def find_candidates(
    source_ra: FloatArray,
    source_dec: FloatArray,
    object_ra: FloatArray,
    object_dec: FloatArray,
    radius_arcsec: float,
    *,
    max_pairs: int = MAX_PAIRS,
) -> Candidates:
    """Return every pair whose unit vectors are no farther apart than the radius.

    Parameters
    ----------
    source_ra, source_dec : `numpy.ndarray` [float64], shape (n_sources,)
        Degrees.
    object_ra, object_dec : `numpy.ndarray` [float64], shape (n_objects,)
        Degrees.
    radius_arcsec : `float`
        Above 0 and at most one degree; compared in radians with the chord, as upstream does.
    max_pairs : `int`, optional
        How many are accepted. Memory is taken for no more, 24 bytes each.

    Returns
    -------
    candidates : `Candidates`
        Complete at the wrap of ra and at the poles. What is no position
        (`has_position`) is in no pair.

    Raises
    ------
    TooManyCandidatesError
        If there are more than ``max_pairs``, or more than `MAX_MEETINGS` that
        are nearly close enough.
    """
    source_ra, source_dec = read_only(source_ra), read_only(source_dec)
    object_ra, object_dec = read_only(object_ra), read_only(object_dec)
    used = source_dec[has_position(source_ra, source_dec)]
    if not (len(used) and len(object_ra)):
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    grid = grid_for(used, radius_arcsec)
    cells = touched_cells(source_ra, source_dec, grid)
    source_row, object_row, chord, is_complete = _pairs(
        (object_ra, object_dec),
        unit_vectors(source_ra, source_dec),
        radius_arcsec / ARCSEC_PER_RADIAN,
        grid,
        cells,
        (max_pairs, MAX_MEETINGS),
    )
    if not is_complete:
        raise TooManyCandidatesError(
            f"{len(used)} sources and {len(object_ra)} objects are so crowded that more than {max_pairs} pairs are "
            f"within {radius_arcsec} arcsec, or more than {MAX_MEETINGS} nearly; check their ra and dec. If the sky "
            "is like that, raise association.max_candidate_pairs, or lower association.max_distance_arcsec or "
            "association.solar_system_radius_arcsec"
        )
    return Candidates(*_by_source(source_row, object_row, chord, len(source_ra)))


@njit(cache=True, error_model="numpy")
def _pairs(
    objects: tuple[FloatArray, FloatArray],
    sources: FloatArray,
    radius: float,
    grid: Grid,
    cells: TouchedCells,
    limits: tuple[int, int],
) -> tuple[IntArray, IntArray, FloatArray, bool]:
    """Return the pairs in the order of the objects, and whether they are all: fewer than the limits."""
    max_pairs, max_meetings = limits
    ra, dec = objects
    rows, keys = rows_in_touched_cells(ra, dec, grid, cells)
    n_most = _n_meetings(keys, cells, max_pairs)
    source_row, object_row, chord = np.empty(n_most, np.int64), np.empty(n_most, np.int64), np.empty(n_most)
    n, n_meetings = 0, 0
    for near in range(len(rows)):
        j = rows[near]
        if not is_position(ra[j], dec[j]):
            continue
        entry = first_circle(keys[near], cells)
        if entry < 0:
            continue
        x, y, z = _unit_vector(ra[j], dec[j])
        while entry >= 0:
            i = cells.owners[entry]
            distance = _chord(x, y, z, sources[i])
            n_meetings += 1
            if n_meetings > max_meetings:
                return source_row, object_row, chord, False
            if distance <= radius:
                if n == max_pairs:
                    return source_row, object_row, chord, False
                source_row[n], object_row[n], chord[n] = i, j, distance
                n += 1
            entry = next_circle(entry, cells)
    return source_row[:n], object_row[:n], chord[:n], True


@njit(cache=True, error_model="numpy")
def _n_meetings(keys: Keys, cells: TouchedCells, at_most: int) -> int:
    """Return how many objects and circles share a cell, as many pairs as there can be, or ``at_most``."""
    n = 0
    for key in keys:
        entry = first_circle(key, cells)
        while entry >= 0 and n < at_most:
            n += 1
            entry = next_circle(entry, cells)
    return n


@njit(cache=True, error_model="numpy")
def _by_source(
    source_row: IntArray, object_row: IntArray, chord: FloatArray, n_sources: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the pairs gathered by source, each source's in the order they had."""
    place = np.zeros(n_sources + 1, np.int64)
    for source in source_row:
        place[source + 1] += 1
    for source in range(n_sources):
        place[source + 1] += place[source]
    sources, objects, chords = np.empty_like(source_row), np.empty_like(object_row), np.empty_like(chord)
    for pair in range(len(source_row)):
        at = place[source_row[pair]]
        sources[at], objects[at], chords[at] = source_row[pair], object_row[pair], chord[pair]
        place[source_row[pair]] += 1
    return sources, objects, chords


@njit(cache=True, error_model="numpy", inline="always")
def _unit_vector(ra: float, dec: float) -> tuple[float, float, float]:
    longitude, latitude = math.radians(ra), math.radians(dec)
    return math.cos(longitude) * math.cos(latitude), math.sin(longitude) * math.cos(latitude), math.sin(latitude)


@njit(cache=True, error_model="numpy", inline="always")
def _chord(x: float, y: float, z: float, source: FloatArray) -> float:
    dx, dy, dz = x - source[0], y - source[1], z - source[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)
