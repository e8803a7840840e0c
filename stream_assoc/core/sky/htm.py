"""The HTM index of positions, and the arithmetic of trixel numbers.

A trixel at level 0 is one of the eight faces of an octahedron, numbered 8 to
15; its four children at the next level append two bits to its number. See
Szalay et al. 2007 (arXiv:cs/0701164) and ``lsst.sphgeom.HtmPixelization``,
whose numbers these are.
"""

import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from lsst.sphgeom import HtmPixelization, LonLat, UnitVector3d
from numba import njit

from stream_assoc.core.exceptions import InvalidLevelError, InvalidPositionError
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.vectors import unit_vectors

MAX_LEVEL: Final = 24
"""The deepest level of ``lsst.sphgeom.HtmPixelization``."""

PIXEL_ID_LEVEL: Final = 20
"""Level of the APDB's ``pixelId`` columns: dax_apdb's default and part of its frozen configuration."""

# Corners of the root trixels 8 to 15, counter-clockwise seen from outside.
_X, _Y, _Z = np.eye(3)
ROOTS: Final[FloatArray] = np.array(
    [
        [_X, -_Z, _Y],
        [_Y, -_Z, -_X],
        [-_X, -_Z, -_Y],
        [-_Y, -_Z, _X],
        [_X, _Z, -_Y],
        [-_Y, _Z, -_X],
        [-_X, _Z, _Y],
        [_Y, _Z, _X],
    ]
)

_UNDECIDED: Final = -1
_MAX_ABS_RA: Final = 720.0
_NEAR_COORDINATE_PLANE: Final = 4e-15
_GUARD: Final = 2e-13

# Positions that are taken down the levels together, and where each number of theirs begins in one flat array:
# with constant distances the compiler knows that no two of them are the same.
_LANES: Final = 64
_V, _A, _B, _C = (row * _LANES for row in (0, 3, 6, 9))
_INDEX: Final = 12 * _LANES
_MARGIN: Final = 13 * _LANES
_N_ROWS: Final = 14

Vector: TypeAlias = tuple[float, float, float]


def check_level(level: int) -> None:
    """Raise `InvalidLevelError` unless the mesh has this level."""
    if not 0 <= level <= MAX_LEVEL:
        raise InvalidLevelError(f"HTM level {level} is not between 0 and {MAX_LEVEL}")


def htm_index(ra: npt.ArrayLike, dec: npt.ArrayLike, level: int) -> IntArray:
    """Return the trixel that holds each position, as ``lsst.sphgeom`` finds it.

    Parameters
    ----------
    ra, dec : array-like [float64], shape (n,)
        Degrees. Any finite ra; dec within [-90, 90].
    level : `int`
        Subdivision level, 0 to 24.

    Returns
    -------
    index : `numpy.ndarray` [int64], shape (n,)
        Equal on every point to
        ``HtmPixelization(level).index(UnitVector3d(LonLat.fromDegrees(ra, dec)))``.

    Raises
    ------
    InvalidPositionError
        If a position is not finite, or its dec is outside [-90, 90].
    InvalidLevelError
        If there is no such level.

    Notes
    -----
    A position whose side of some edge is beyond doubt in double precision
    (all but about one in a million at level 20) is placed by a compiled kernel. The rest,
    such as positions on an edge, are placed by sphgeom itself with its exact
    arithmetic, so the equality rests on no assumption about its rounding.
    """
    check_level(level)
    vectors = unit_vectors(ra, dec)
    longitude, latitude = np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64)
    valid = np.isfinite(longitude) & (np.abs(latitude) <= 90.0)
    if not valid.all():
        first = int(np.argmin(valid))
        raise InvalidPositionError(
            f"ra {longitude[first]}, dec {latitude[first]} in row {first} is not a position; "
            "ra and dec must be finite degrees with abs(dec) <= 90"
        )
    index: IntArray = _index(vectors, level)
    # sphgeom wraps ra in radians, which drifts from the sine of a huge angle.
    index[np.abs(longitude) > _MAX_ABS_RA] = _UNDECIDED
    pixelization = HtmPixelization(level)
    for row in np.flatnonzero(index == _UNDECIDED):
        index[row] = pixelization.index(UnitVector3d(LonLat.fromDegrees(float(longitude[row]), float(latitude[row]))))
    return index


@njit(cache=True, error_model="numpy")
def _index(vectors: FloatArray, level: int) -> IntArray:
    """Return the trixel of each unit vector, or `_UNDECIDED` where rounding could change it.

    The guard bounds every way in which two implementations may differ: at
    level l a trixel's side is below 1.6 / 2**l; its corners, midpoints of
    midpoints, differ by less than 3e-14 after 24 roundings; the determinant
    of v, m, n is that of v, m - v, n - v, whose terms are as small as the
    trixel squared, so its error is below 2e-13 / 2**l.
    """
    index = np.empty(len(vectors), np.int64)
    lanes = np.empty(_N_ROWS * _LANES)
    for start in range(0, len(vectors), _LANES):
        n = min(_LANES, len(vectors) - start)
        for lane in range(_LANES):
            # Lanes for which there is no position repeat the last one.
            _begin(lanes, lane, vectors[start + min(lane, n - 1)])
        guard = _GUARD
        for _ in range(level):
            _descend(lanes, guard)
            guard *= 0.5
        for lane in range(n):
            is_certain = lanes[_MARGIN + lane] >= 0.0
            index[start + lane] = np.int64(lanes[_INDEX + lane]) if is_certain else _UNDECIDED
    return index


@njit(cache=True, error_model="numpy", inline="always")
def _begin(lanes: FloatArray, lane: int, vector: FloatArray) -> None:
    """Put a position into its root trixel."""
    x, y, z = vector[0], vector[1], vector[2]
    root = _root(x, y, z)
    _put(lanes, _V, lane, (x, y, z))
    for k, corner in enumerate((_A, _B, _C)):
        _put(lanes, corner, lane, (ROOTS[root, k, 0], ROOTS[root, k, 1], ROOTS[root, k, 2]))
    # A float64 holds the index of every level exactly.
    lanes[_INDEX + lane] = root + 8
    lanes[_MARGIN + lane] = min(abs(x), abs(y), abs(z)) - _NEAR_COORDINATE_PLANE


@njit(cache=True, error_model="numpy")
def _descend(lanes: FloatArray, guard: float) -> None:
    """Go one level down with all lanes: without a branch, so that the compiler takes several at once."""
    for lane in range(_LANES):
        v, a, b, c = _get(lanes, _V, lane), _get(lanes, _A, lane), _get(lanes, _B, lane), _get(lanes, _C, lane)
        ab, bc, ca = midpoint(a, b), midpoint(b, c), midpoint(c, a)
        side_a, side_b, side_c = _side(v, ab, ca), _side(v, bc, ab), _side(v, ca, bc)
        at_a, at_b, at_c = side_a > 0.0, side_b > 0.0, side_c > 0.0
        child = 0.0 if at_a else (1.0 if at_b else (2.0 if at_c else 3.0))
        lanes[_INDEX + lane] = 4.0 * lanes[_INDEX + lane] + child
        margin = min(abs(side_a), abs(side_b), abs(side_c)) - guard
        lanes[_MARGIN + lane] = min(lanes[_MARGIN + lane], margin)
        _put(lanes, _A, lane, _either(at_a, a, _either(at_b, b, _either(at_c, c, bc))))
        _put(lanes, _B, lane, _either(at_a, ab, _either(at_b, bc, ca)))
        _put(lanes, _C, lane, _either(at_a, ca, _either(at_b, ab, _either(at_c, bc, ab))))


@njit(cache=True, error_model="numpy", inline="always")
def _get(lanes: FloatArray, row: int, lane: int) -> Vector:
    return lanes[row + lane], lanes[row + _LANES + lane], lanes[row + 2 * _LANES + lane]


@njit(cache=True, error_model="numpy", inline="always")
def _put(lanes: FloatArray, row: int, lane: int, vector: Vector) -> None:
    lanes[row + lane], lanes[row + _LANES + lane], lanes[row + 2 * _LANES + lane] = vector


@njit(cache=True, error_model="numpy", inline="always")
def _either(first: bool, p: Vector, q: Vector) -> Vector:
    return p[0] if first else q[0], p[1] if first else q[1], p[2] if first else q[2]


@njit(cache=True, error_model="numpy")
def _root(x: float, y: float, z: float) -> int:
    if z < 0.0:
        if y > 0.0:
            return 0 if x > 0.0 else 1
        return 2 if x < 0.0 else 3
    if y > 0.0:
        return 7 if x > 0.0 else 6
    return 5 if x < 0.0 else 4


@njit(cache=True, error_model="numpy", inline="always")
def midpoint(p: Vector, q: Vector) -> Vector:
    """Return the unit vector halfway between two unit vectors."""
    x, y, z = p[0] + q[0], p[1] + q[1], p[2] + q[2]
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


@njit(cache=True, error_model="numpy", inline="always")
def _side(v: Vector, m: Vector, n: Vector) -> float:
    """Return the determinant of (v, m, n): positive when v is left of the edge from m to n."""
    mx, my, mz = m[0] - v[0], m[1] - v[1], m[2] - v[2]
    nx, ny, nz = n[0] - v[0], n[1] - v[1], n[2] - v[2]
    return v[0] * (my * nz - mz * ny) + v[1] * (mz * nx - mx * nz) + v[2] * (mx * ny - my * nx)


def parent_index(index: npt.ArrayLike, from_level: int, to_level: int) -> IntArray:
    """Return the trixels at ``to_level`` that hold trixels of ``from_level``.

    Parameters
    ----------
    index : array-like [int64], shape (n,)
    from_level, to_level : `int`
        Levels with ``to_level <= from_level``.

    Returns
    -------
    parents : `numpy.ndarray` [int64], shape (n,)

    Raises
    ------
    InvalidLevelError
        If ``to_level`` is deeper than ``from_level``, or no level.
    """
    check_level(from_level)
    check_level(to_level)
    if to_level > from_level:
        raise InvalidLevelError(f"a trixel of level {from_level} has no parent at the deeper level {to_level}")
    return np.asarray(index, dtype=np.int64) >> 2 * (from_level - to_level)
