"""Pairs of a source and an object that are close enough to be one thing.

The catalogue of objects is much the larger one and is used once, so no index
of it is built. The sources are hashed into the cells their circles touch, and
the objects are streamed past them: an object needs one cell and one look-up,
and its trigonometry only when a source is waiting there.

Cells are rows of declination, each cut into equal columns of right ascension.
A row has as many columns as its longer border has room for, at least one, so
that cells stay about square up to the poles, where a row is one or a few cells
round the pole.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit

from stream_assoc.association.exceptions import TooManyCandidatesError
from stream_assoc.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.sky.vectors import ARCSEC_PER_RADIAN, read_only, unit_vectors

MAX_PAIRS: Final = 20_000_000
"""More pairs than any sky gives: a visit of Rubin has about ten thousand."""

# Circles touch few cells when these are several times wider, objects meet few
# circles that are not theirs when they are not much wider.
_CELL_RADII: Final = 4.0
_MIN_CELL_DEGREES: Final = 1.0 / 3600.0
# Enlarges circles by more than what rounding can move a position.
_SLACK_DEGREES: Final = 1e-11
_MAX_ABS_RA: Final = 36_000.0


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
    source_ra: FloatArray, source_dec: FloatArray, object_ra: FloatArray, object_dec: FloatArray, radius_arcsec: float
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

    Returns
    -------
    candidates : `Candidates`
        Complete at the wrap of ra and at the poles. What is no position
        (`has_position`) is in no pair.

    Raises
    ------
    TooManyCandidatesError
        If there are more than `MAX_PAIRS` pairs.
    """
    source_ra, source_dec = read_only(source_ra), read_only(source_dec)
    object_ra, object_dec = read_only(object_ra), read_only(object_dec)
    sources = unit_vectors(source_ra, source_dec)
    radius = radius_arcsec / ARCSEC_PER_RADIAN
    reach = radius_arcsec / 3600.0 + _SLACK_DEGREES
    rows_per_degree = 1.0 / max(_CELL_RADII * reach, _MIN_CELL_DEGREES)
    used = source_dec[has_position(source_ra, source_dec)]
    if not len(used):
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    first_row = _row(used.min() - reach, rows_per_degree)
    columns = _columns_of_rows(first_row, _row(used.max() + reach, rows_per_degree), rows_per_degree)
    keys, owners = _occupied_cells(source_ra, source_dec, reach, rows_per_degree, first_row, columns)
    n_buckets = 1 << max(4, (4 * len(keys)).bit_length())
    bucket_starts, keys, owners = _hashed(keys, owners, n_buckets)
    source_row, object_row, chord, n_pairs = _stream(
        object_ra,
        object_dec,
        sources,
        radius,
        rows_per_degree,
        first_row,
        columns,
        bucket_starts,
        keys,
        owners,
        MAX_PAIRS,
    )
    if n_pairs > MAX_PAIRS:
        raise TooManyCandidatesError(
            f"more than {MAX_PAIRS} pairs of a source and an object are within {radius_arcsec} arcsec; "
            "check ra and dec of the sources, or lower association.max_distance_arcsec"
        )
    order = np.argsort(source_row, kind="stable")
    return Candidates(source_row[order], object_row[order], chord[order])


def has_position(ra: FloatArray, dec: FloatArray) -> BoolArray:
    """Tell which rows are positions: dec within [-90, 90], ra finite and at most a hundred turns.

    A larger ra is no position either, because its degrees are too coarse.
    """
    return np.asarray((np.abs(dec) <= 90.0) & (np.abs(ra) <= _MAX_ABS_RA))


@njit(cache=True, error_model="numpy", inline="always")
def _is_position(ra: float, dec: float) -> bool:
    return abs(dec) <= 90.0 and abs(ra) <= _MAX_ABS_RA


@njit(cache=True, error_model="numpy", inline="always")
def _row(dec: float, rows_per_degree: float) -> int:
    return int((min(max(dec, -90.0), 90.0) + 90.0) * rows_per_degree)


@njit(cache=True, error_model="numpy")
def _columns_of_rows(first_row: int, last_row: int, rows_per_degree: float) -> IntArray:
    columns = np.empty(last_row - first_row + 1, np.int64)
    for row in range(first_row, last_row + 1):
        south, north = row / rows_per_degree - 90.0, (row + 1) / rows_per_degree - 90.0
        longest = 0.0 if south <= 0.0 <= north else min(abs(south), abs(north))
        columns[row - first_row] = max(1, int(360.0 * math.cos(math.radians(longest)) * rows_per_degree))
    return columns


@njit(cache=True, error_model="numpy", inline="always")
def _column(ra: float, n_columns: int) -> int:
    wrapped = ra if 0.0 <= ra < 360.0 else ra - 360.0 * math.floor(ra / 360.0)
    return min(int(wrapped * (1.0 / 360.0) * n_columns), n_columns - 1)


@njit(cache=True, error_model="numpy", inline="always")
def _half_width(dec: float, reach: float) -> float:
    """Return how far in ra a circle extends, degrees; 180 when it holds a pole."""
    if abs(dec) + reach >= 90.0:
        return 180.0
    sine = math.sin(math.radians(reach)) / math.cos(math.radians(dec))
    return math.degrees(math.asin(min(sine, 1.0))) + _SLACK_DEGREES


@njit(cache=True, error_model="numpy")
def _occupied_cells(
    ra: FloatArray, dec: FloatArray, reach: float, rows_per_degree: float, first_row: int, columns: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the key of every cell that a source's circle touches, and the source."""
    keys = np.empty(4 * len(ra) + 16, np.int64)
    owners = np.empty_like(keys)
    n = 0
    for i in range(len(ra)):
        if not _is_position(ra[i], dec[i]):
            continue
        half_width = _half_width(dec[i], reach)
        for row in range(_row(dec[i] - reach, rows_per_degree), _row(dec[i] + reach, rows_per_degree) + 1):
            n_columns = columns[row - first_row]
            first = 0
            n_touched = n_columns
            if half_width < 180.0:
                first = _column(ra[i] - half_width, n_columns)
                last = _column(ra[i] + half_width, n_columns)
                # A circle that begins and ends in one column may still have gone all round.
                if 2.0 * half_width + 360.0 / n_columns < 360.0:
                    n_touched = (last - first) % n_columns + 1
            for step in range(n_touched):
                if n == len(keys):
                    keys = np.concatenate((keys, np.empty_like(keys)))
                    owners = np.concatenate((owners, np.empty_like(owners)))
                keys[n] = (row << 32) + (first + step) % n_columns
                owners[n] = i
                n += 1
    return keys[:n], owners[:n]


@njit(cache=True, error_model="numpy", inline="always")
def _bucket(key: int, n_buckets: int) -> int:
    mixed = (key ^ (key >> 32)) * 0x9E3779B1
    return (mixed ^ (mixed >> 15)) & (n_buckets - 1)


@njit(cache=True, error_model="numpy")
def _hashed(keys: IntArray, owners: IntArray, n_buckets: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return the cells gathered by bucket: bucket ``b`` is ``starts[b]:starts[b + 1]``."""
    starts = np.zeros(n_buckets + 1, np.int64)
    for key in keys:
        starts[_bucket(key, n_buckets) + 1] += 1
    starts = np.cumsum(starts)
    fill = starts.copy()
    hashed_keys, hashed_owners = np.empty_like(keys), np.empty_like(owners)
    for i in range(len(keys)):
        bucket = _bucket(keys[i], n_buckets)
        hashed_keys[fill[bucket]] = keys[i]
        hashed_owners[fill[bucket]] = owners[i]
        fill[bucket] += 1
    return starts, hashed_keys, hashed_owners


@njit(cache=True, error_model="numpy")
def _stream(  # noqa: PLR0913, PLR0917
    ra: FloatArray,
    dec: FloatArray,
    sources: FloatArray,
    radius: float,
    rows_per_degree: float,
    first_row: int,
    columns: IntArray,
    bucket_starts: IntArray,
    keys: IntArray,
    owners: IntArray,
    max_pairs: int,
) -> tuple[IntArray, IntArray, FloatArray, int]:
    """Return the pairs in the order of the objects, and their number, which may be one too many."""
    n_buckets = len(bucket_starts) - 1
    source_row = np.empty(len(sources) + 16, np.int64)
    object_row = np.empty_like(source_row)
    chord = np.empty(len(source_row))
    n = 0
    for j in range(len(ra)):
        if not _is_position(ra[j], dec[j]):
            continue
        row = _row(dec[j], rows_per_degree)
        if not 0 <= row - first_row < len(columns):
            continue
        key = (row << 32) + _column(ra[j], columns[row - first_row])
        bucket = _bucket(key, n_buckets)
        for entry in range(bucket_starts[bucket], bucket_starts[bucket + 1]):
            if keys[entry] != key:
                continue
            i = owners[entry]
            distance = _chord(ra[j], dec[j], sources[i])
            if distance > radius:
                continue
            if n == max_pairs:
                return source_row, object_row, chord, n + 1
            if n == len(source_row):
                source_row = np.concatenate((source_row, np.empty_like(source_row)))
                object_row = np.concatenate((object_row, np.empty_like(object_row)))
                chord = np.concatenate((chord, np.empty_like(chord)))
            source_row[n], object_row[n], chord[n] = i, j, distance
            n += 1
    return source_row[:n], object_row[:n], chord[:n], n


@njit(cache=True, error_model="numpy", inline="always")
def _chord(ra: float, dec: float, source: FloatArray) -> float:
    longitude, latitude = math.radians(ra), math.radians(dec)
    dx = math.cos(longitude) * math.cos(latitude) - source[0]
    dy = math.sin(longitude) * math.cos(latitude) - source[1]
    dz = math.sin(latitude) - source[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)
