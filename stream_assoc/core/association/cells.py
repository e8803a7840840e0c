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

from stream_assoc.core.model import positions
from stream_assoc.core.model.positions import MAX_ABS_RA
from stream_assoc.core.model.types import FloatArray

# Circles touch few cells when these are several times wider, objects meet few
# circles that are not theirs when they are not much wider.
_CELL_RADII: Final = 4.0
_MIN_CELL_DEGREES: Final = 1.0 / 3600.0
# Enlarges circles by more than what rounding can move a position.
_SLACK_DEGREES: Final = 1e-11
# A circle touches two or three cells. So many bits for a circle: hardly any other object is taken for a near one,
# and the bits stay in the CPU's cache.
_BITS_PER_CIRCLE: Final = 128
_BUCKETS_PER_CIRCLE: Final = 4
# Modulo 2**32 it is farther from 0 than a row has columns: cells of neighbouring rows have different keys.
_ROW_MULTIPLIER: Final = np.uint32(0x9E3779B1)
_HASH_MULTIPLIER: Final = np.uint32(0x85EBCA77)
# The one definition of a position, as kernels call it.
is_position: Final = njit(cache=True, error_model="numpy", inline="always")(positions.is_position)
# What a step leaves to the next for so many rows stays in the CPU's cache.
_ROWS_AT_ONCE: Final = 2048

Keys = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.int32]


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
    columns : `numpy.ndarray` [float64], shape (n_rows,)
        How many each row of the belt has, whole numbers.
    half_widths : `numpy.ndarray` [float64], shape (n_rows,)
        How far in ra the widest circle centred in a row extends, degrees; 180
        when it holds a pole.
    """

    reach: float
    rows_per_degree: float
    first_row: int
    columns: FloatArray
    half_widths: FloatArray


class TouchedCells(NamedTuple):
    """The cells that circles touch, hashed.

    An entry is a cell and a circle that touches it; entries of one bucket are
    chained.

    Attributes
    ----------
    keys : `numpy.ndarray` [uint32], shape (n_entries,)
        The cell. Other cells may have the same key, but none that the same
        circle touches.
    owners : `numpy.ndarray` [int32], shape (n_entries,)
        The row of that circle's source.
    followers : `numpy.ndarray` [int32], shape (n_entries,)
        The next entry of the bucket; -1 after the last.
    heads : `numpy.ndarray` [int32], shape (2**log2_buckets,)
        The first entry of each bucket; -1 for none.
    log2_buckets : `int`
    bits : `numpy.ndarray` [uint64], shape (2**(log2_bits - 6),)
        A bit for each hash; it is set when a touched cell has that hash.
    log2_bits : `int`
    """

    keys: Keys
    owners: Rows
    followers: Rows
    heads: Rows
    log2_buckets: int
    bits: npt.NDArray[np.uint64]
    log2_bits: int


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
    first_row = int(_row(dec.min() - reach, rows_per_degree))
    last_row = int(_row(dec.max() + reach, rows_per_degree))
    return Grid(reach, rows_per_degree, first_row, *_belt(first_row, last_row, reach, rows_per_degree))


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
    log2_buckets, log2_bits = _log2_above(_BUCKETS_PER_CIRCLE * len(ra)), _log2_above(_BITS_PER_CIRCLE * len(ra))
    followers, heads = _chained(keys, log2_buckets)
    return TouchedCells(keys, owners, followers, heads, log2_buckets, _bits(keys, log2_bits), log2_bits)


def _log2_above(n: int) -> int:
    return min(max(6, n.bit_length()), 31)


@njit(cache=True, error_model="numpy")
def rows_in_touched_cells(ra: FloatArray, dec: FloatArray, grid: Grid, cells: TouchedCells) -> tuple[Rows, Keys]:
    """Return, ascending, every position in a touched cell, and a few other rows.

    Parameters
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees.

    Returns
    -------
    rows : `numpy.ndarray` [int32], shape (n_near,)
    keys : `numpy.ndarray` [uint32], shape (n_near,)
        Their cells.
    """
    rows, row_keys = np.empty(len(ra) + 1, np.int32), np.empty(len(ra) + 1, np.uint32)
    n = 0
    for start in range(0, len(ra), _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, len(ra))
        keys = _keys(ra[start:stop], dec[start:stop], grid)
        for j in range(len(keys)):
            bit = _hash(keys[j], cells.log2_bits)
            # Written in any case and counted if it is one: a branch would often be guessed wrong.
            rows[n], row_keys[n] = start + j, keys[j]
            n += int((cells.bits[bit >> np.uint32(6)] >> np.uint64(bit & np.uint32(63))) & np.uint64(1))
    return rows[:n], row_keys[:n]


@njit(cache=True, error_model="numpy")
def _keys(ra: FloatArray, dec: FloatArray, grid: Grid) -> Keys:
    """Return the cell of each position, or one of the belt where it is in none.

    There are three loops because the compiler takes several rows at once in
    one that only computes, but not in one that also looks something up.
    """
    n = len(ra)
    row, turn, n_columns, keys = np.empty(n, np.int32), np.empty(n), np.empty(n), np.empty(n, np.uint32)
    first_row, last = np.int32(grid.first_row), np.int32(len(grid.columns) - 1)
    for j in range(n):
        latitude = dec[j] if abs(dec[j]) <= 90.0 else 0.0
        row[j] = min(max(_row(latitude, grid.rows_per_degree) - first_row, np.int32(0)), last)
        turn[j] = _turn(ra[j] if abs(ra[j]) <= MAX_ABS_RA else 0.0)
    for j in range(n):
        n_columns[j] = grid.columns[np.uint32(row[j])]
    for j in range(n):
        keys[j] = _key(row[j], _column(turn[j], n_columns[j]))
    return keys


@njit(cache=True, error_model="numpy", inline="always")
def first_circle(key: np.uint32, cells: TouchedCells) -> int:
    """Return the first entry of a circle that touches this cell; -1 for none."""
    return _entry_of(key, cells.heads[_hash(key, cells.log2_buckets)], cells)


@njit(cache=True, error_model="numpy", inline="always")
def next_circle(entry: int, cells: TouchedCells) -> int:
    """Return the entry of the next circle that touches the cell of this one; -1 for none."""
    return _entry_of(cells.keys[entry], cells.followers[entry], cells)


@njit(cache=True, error_model="numpy", inline="always")
def _entry_of(key: np.uint32, entry: int, cells: TouchedCells) -> int:
    while entry >= 0 and cells.keys[entry] != key:
        entry = cells.followers[entry]
    return entry


@njit(cache=True, error_model="numpy", inline="always")
def _row(dec: float, rows_per_degree: float) -> np.int32:
    return np.int32((min(max(dec, -90.0), 90.0) + 90.0) * rows_per_degree)


@njit(cache=True, error_model="numpy", inline="always")
def _turn(ra: float) -> float:
    """Return ra as a part of the circle, at least 0 and at most 1."""
    turns = ra * (1.0 / 360.0)
    return float(turns - np.floor(turns))


@njit(cache=True, error_model="numpy", inline="always")
def _column(turn: float, n_columns: float) -> np.int32:
    return np.int32(min(turn * n_columns, n_columns - 1.0))


@njit(cache=True, error_model="numpy", inline="always")
def _key(belt_row: int | np.int32, column: int | np.int32) -> np.uint32:
    return np.uint32(belt_row) * _ROW_MULTIPLIER + np.uint32(column)


@njit(cache=True, error_model="numpy", inline="always")
def _hash(key: np.uint32, log2: int) -> np.uint32:
    """Return the upper bits of the key times an odd number (Knuth's multiplicative hashing)."""
    mixed = np.uint32(key ^ (key >> np.uint32(15))) * _HASH_MULTIPLIER
    return np.uint32(np.uint32(mixed) >> np.uint32(32 - log2))


@njit(cache=True, error_model="numpy")
def _belt(first_row: int, last_row: int, reach: float, rows_per_degree: float) -> tuple[FloatArray, FloatArray]:
    """Return how many columns each row has, and how far in ra the widest circle centred in it extends."""
    columns, half_widths = np.empty(last_row - first_row + 1), np.empty(last_row - first_row + 1)
    for row in range(first_row, last_row + 1):
        south, north = row / rows_per_degree - 90.0, (row + 1) / rows_per_degree - 90.0
        longest = 0.0 if south <= 0.0 <= north else min(abs(south), abs(north))
        columns[row - first_row] = max(1.0, np.floor(360.0 * math.cos(math.radians(longest)) * rows_per_degree))
        half_widths[row - first_row] = _half_width(max(abs(south), abs(north)), reach)
    return columns, half_widths


@njit(cache=True, error_model="numpy", inline="always")
def _half_width(dec: float, reach: float) -> float:
    """Return how far in ra a circle extends, degrees; 180 when it holds a pole."""
    if abs(dec) + reach >= 90.0:
        return 180.0
    sine = math.sin(math.radians(reach)) / math.cos(math.radians(dec))
    return math.degrees(math.asin(min(sine, 1.0))) + _SLACK_DEGREES


@njit(cache=True, error_model="numpy")
def _touched(ra: FloatArray, dec: FloatArray, grid: Grid) -> tuple[Keys, Rows]:
    """Return the key of every cell that a source's circle touches, and the source."""
    n_entries = 0
    for i in range(len(ra)):
        if is_position(ra[i], dec[i]):
            for row in _touched_rows(dec[i], grid):
                n_entries += _touched_columns(ra[i], dec[i], row, grid)[1]
    keys, owners = np.empty(n_entries, np.uint32), np.empty(n_entries, np.int32)
    entry = 0
    for i in range(len(ra)):
        if is_position(ra[i], dec[i]):
            for row in _touched_rows(dec[i], grid):
                column, n_touched = _touched_columns(ra[i], dec[i], row, grid)
                for _ in range(n_touched):
                    keys[entry], owners[entry] = _key(row, column), i
                    entry += 1
                    column = column + 1 if column + 1 < grid.columns[row] else 0
    return keys, owners


@njit(cache=True, error_model="numpy", inline="always")
def _touched_rows(dec: float, grid: Grid) -> range:
    first_row = _row(dec - grid.reach, grid.rows_per_degree) - grid.first_row
    last_row = _row(dec + grid.reach, grid.rows_per_degree) - grid.first_row
    return range(first_row, last_row + 1)


@njit(cache=True, error_model="numpy", inline="always")
def _touched_columns(ra: float, dec: float, row: int, grid: Grid) -> tuple[int, int]:
    """Return the westernmost column of this row that the circle touches, and how many it touches from there."""
    half_width = grid.half_widths[_row(dec, grid.rows_per_degree) - grid.first_row]
    n_columns = grid.columns[row]
    # A wider circle may have gone all round and end in the column in which it begins.
    if 2.0 * half_width + 360.0 / n_columns >= 360.0:
        return 0, int(n_columns)
    first, last = _column(_turn(ra - half_width), n_columns), _column(_turn(ra + half_width), n_columns)
    n_touched = last - first + 1
    return int(first), int(n_touched if n_touched > 0 else n_touched + n_columns)


@njit(cache=True, error_model="numpy")
def _chained(keys: Keys, log2: int) -> tuple[Rows, Rows]:
    """Return the next entry after each in its bucket, and the first of each bucket."""
    followers, heads = np.empty(len(keys), np.int32), np.full(1 << log2, -1, np.int32)
    for entry in range(len(keys)):
        bucket = _hash(keys[entry], log2)
        followers[entry] = heads[bucket]
        heads[bucket] = entry
    return followers, heads


@njit(cache=True, error_model="numpy")
def _bits(keys: Keys, log2: int) -> npt.NDArray[np.uint64]:
    bits = np.zeros(1 << (log2 - 6), np.uint64)
    for key in keys:
        bit = _hash(key, log2)
        bits[bit >> np.uint32(6)] |= np.uint64(1) << np.uint64(bit & np.uint32(63))
    return bits
