"""The cells of sky that circles around sources touch, and which objects lie in them.

Cells are rows of declination, each cut into equal columns of right ascension.
A row has as many columns as its longer border has room for, at least one, so
that cells stay about square up to the poles, where a row is one or a few cells
round the pole.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_assoc.model.types import BoolArray, FloatArray, IntArray

# Circles touch few cells when these are several times wider, objects meet few
# circles that are not theirs when they are not much wider.
_CELL_RADII: Final = 4.0
_MIN_CELL_DEGREES: Final = 1.0 / 3600.0
# Enlarges circles by more than what rounding can move a position.
_SLACK_DEGREES: Final = 1e-11
_MAX_ABS_RA: Final = 36_000.0
# So many bits for a touched cell: few other objects are taken for near ones, and the bits stay in the CPU's cache.
_BITS_PER_CELL: Final = 32
_BUCKETS_PER_CELL: Final = 4
_HASH_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


class Grid(NamedTuple):
    """The division of a belt of the sky into cells.

    Attributes
    ----------
    reach : `float`
        Radius of the circles, degrees.
    rows_per_degree : `float`
        Of declination; row 0 begins at the south pole.
    first_row : `int`
        The southernmost row of the belt.
    columns : `numpy.ndarray` [int64], shape (n_rows,)
        How many each row of the belt has.
    """

    reach: float
    rows_per_degree: float
    first_row: int
    columns: IntArray


class TouchedCells(NamedTuple):
    """The cells that circles touch, hashed.

    Attributes
    ----------
    keys : `numpy.ndarray` [int64], shape (n,)
        A cell, once for each circle that touches it; gathered by bucket.
    owners : `numpy.ndarray` [int64], shape (n,)
        The row of that circle's source.
    starts : `numpy.ndarray` [int64], shape (2**log2_buckets + 1,)
        Bucket ``b`` is ``starts[b]:starts[b + 1]``.
    log2_buckets : `int`
    bits : `numpy.ndarray` [uint64], shape (2**(log2_bits - 6),)
        A bit for each hash; it is set when a touched cell has that hash.
    log2_bits : `int`
    """

    keys: IntArray
    owners: IntArray
    starts: IntArray
    log2_buckets: int
    bits: npt.NDArray[np.uint64]
    log2_bits: int


def has_position(ra: FloatArray, dec: FloatArray) -> BoolArray:
    """Tell which rows are positions: dec within [-90, 90], ra finite and at most a hundred turns.

    A larger ra is no position either, because its degrees are too coarse.
    """
    return np.asarray((np.abs(dec) <= 90.0) & (np.abs(ra) <= _MAX_ABS_RA))


def grid_for(dec: FloatArray, radius_arcsec: float) -> Grid:
    """Return the grid for circles around these declinations.

    Parameters
    ----------
    dec : `numpy.ndarray` [float64], shape (n,)
        Degrees, at least one.
    radius_arcsec : `float`
        Radius of the circles.
    """
    reach = radius_arcsec / 3600.0 + _SLACK_DEGREES
    rows_per_degree = 1.0 / max(_CELL_RADII * reach, _MIN_CELL_DEGREES)
    first_row = _row(dec.min() - reach, rows_per_degree)
    last_row = _row(dec.max() + reach, rows_per_degree)
    return Grid(reach, rows_per_degree, first_row, _columns_of_rows(first_row, last_row, rows_per_degree))


def touched_cells(ra: FloatArray, dec: FloatArray, grid: Grid) -> TouchedCells:
    """Return the cells that the circles around these sources touch.

    Parameters
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees; what is no position touches nothing.
    grid : `Grid`
        From `grid_for` the positions among them.
    """
    keys, owners = _touched(ra, dec, grid)
    log2_buckets, log2_bits = _log2_above(_BUCKETS_PER_CELL * len(keys)), _log2_above(_BITS_PER_CELL * len(keys))
    starts, keys, owners = _hashed(keys, owners, log2_buckets)
    return TouchedCells(keys, owners, starts, log2_buckets, _bits(keys, log2_bits), log2_bits)


def _log2_above(n: int) -> int:
    return max(6, n.bit_length())


@njit(cache=True, error_model="numpy")
def rows_in_touched_cells(ra: FloatArray, dec: FloatArray, grid: Grid, cells: TouchedCells) -> npt.NDArray[np.int32]:
    """Return, ascending, every position in a touched cell, and a few others in the belt.

    Parameters
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees; what is no position is in no cell.
    """
    rows = np.empty(len(ra) + 1, np.int32)
    n = 0
    for j in range(len(ra)):
        if not _is_position(ra[j], dec[j]):
            continue
        row = _row(dec[j], grid.rows_per_degree)
        if not 0 <= row - grid.first_row < len(grid.columns):
            continue
        bit = _hash(_key(row, _column(ra[j], grid.columns[row - grid.first_row])), cells.log2_bits)
        # Written in any case and counted if it is one: a branch would often be guessed wrong.
        rows[n] = j
        n += int((cells.bits[bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1))
    return rows[:n]


@njit(cache=True, error_model="numpy", inline="always")
def cell_of(ra: float, dec: float, grid: Grid) -> int:
    """Return the cell of a position in the belt."""
    row = _row(dec, grid.rows_per_degree)
    return _key(row, _column(ra, grid.columns[row - grid.first_row]))


@njit(cache=True, error_model="numpy", inline="always")
def bucket_of(cell: int, cells: TouchedCells) -> int:
    """Return the bucket this cell is in, if it is touched."""
    return _hash(cell, cells.log2_buckets)


@njit(cache=True, error_model="numpy", inline="always")
def _is_position(ra: float, dec: float) -> bool:
    return abs(dec) <= 90.0 and abs(ra) <= _MAX_ABS_RA


@njit(cache=True, error_model="numpy", inline="always")
def _row(dec: float, rows_per_degree: float) -> int:
    return int((min(max(dec, -90.0), 90.0) + 90.0) * rows_per_degree)


@njit(cache=True, error_model="numpy", inline="always")
def _column(ra: float, n_columns: int) -> int:
    wrapped = ra if 0.0 <= ra < 360.0 else ra - 360.0 * math.floor(ra / 360.0)
    return min(int(wrapped * (1.0 / 360.0) * n_columns), n_columns - 1)


@njit(cache=True, error_model="numpy", inline="always")
def _key(row: int, column: int) -> int:
    return (row << 32) + column


@njit(cache=True, error_model="numpy", inline="always")
def _hash(key: int, log2: int) -> int:
    """Return the upper bits of the key times an odd number (Knuth's multiplicative hashing)."""
    return int((np.uint64(key) * _HASH_MULTIPLIER) >> np.uint64(64 - log2))


@njit(cache=True, error_model="numpy")
def _columns_of_rows(first_row: int, last_row: int, rows_per_degree: float) -> IntArray:
    columns = np.empty(last_row - first_row + 1, np.int64)
    for row in range(first_row, last_row + 1):
        south, north = row / rows_per_degree - 90.0, (row + 1) / rows_per_degree - 90.0
        longest = 0.0 if south <= 0.0 <= north else min(abs(south), abs(north))
        columns[row - first_row] = max(1, int(360.0 * math.cos(math.radians(longest)) * rows_per_degree))
    return columns


@njit(cache=True, error_model="numpy", inline="always")
def _half_width(dec: float, reach: float) -> float:
    """Return how far in ra a circle extends, degrees; 180 when it holds a pole."""
    if abs(dec) + reach >= 90.0:
        return 180.0
    sine = math.sin(math.radians(reach)) / math.cos(math.radians(dec))
    return math.degrees(math.asin(min(sine, 1.0))) + _SLACK_DEGREES


@njit(cache=True, error_model="numpy")
def _touched(ra: FloatArray, dec: FloatArray, grid: Grid) -> tuple[IntArray, IntArray]:
    """Return the key of every cell that a source's circle touches, and the source."""
    keys = np.empty(4 * len(ra) + 16, np.int64)
    owners = np.empty_like(keys)
    n = 0
    for i in range(len(ra)):
        if not _is_position(ra[i], dec[i]):
            continue
        half_width = _half_width(dec[i], grid.reach)
        first_row, last_row = (
            _row(dec[i] - grid.reach, grid.rows_per_degree),
            _row(dec[i] + grid.reach, grid.rows_per_degree),
        )
        for row in range(first_row, last_row + 1):
            n_columns = grid.columns[row - grid.first_row]
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
                keys[n] = _key(row, (first + step) % n_columns)
                owners[n] = i
                n += 1
    return keys[:n], owners[:n]


@njit(cache=True, error_model="numpy")
def _hashed(keys: IntArray, owners: IntArray, log2: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return where each of ``2**log2`` buckets starts, and the cells gathered by bucket."""
    starts = np.zeros((1 << log2) + 1, np.int64)
    for key in keys:
        starts[_hash(key, log2) + 1] += 1
    starts = np.cumsum(starts)
    fill = starts.copy()
    hashed_keys, hashed_owners = np.empty_like(keys), np.empty_like(owners)
    for i in range(len(keys)):
        bucket = _hash(keys[i], log2)
        hashed_keys[fill[bucket]] = keys[i]
        hashed_owners[fill[bucket]] = owners[i]
        fill[bucket] += 1
    return starts, hashed_keys, hashed_owners


@njit(cache=True, error_model="numpy")
def _bits(keys: IntArray, log2: int) -> npt.NDArray[np.uint64]:
    bits = np.zeros(1 << (log2 - 6), np.uint64)
    for key in keys:
        bit = _hash(key, log2)
        bits[bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)
    return bits
