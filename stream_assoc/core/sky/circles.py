"""Which trixels small circles touch."""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_assoc.core.exceptions import InvalidPositionError
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.htm import MAX_LEVEL, ROOTS, check_level, midpoint
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, chord, unit_vectors

Corner = tuple[float, float, float]

_STACK_SIZE = 8 + 3 * MAX_LEVEL
# Corners of trixels are exact to 3e-14, which tilts an edge by that over its length.
_ROUNDING = 1e-13


def trixels_near(ra: npt.ArrayLike, dec: npt.ArrayLike, radius_arcsec: float, level: int) -> IntArray:
    """Return every trixel that a circle round one of the positions touches.

    Parameters
    ----------
    ra, dec : array-like [float64], shape (n,)
        Centres, finite degrees.
    radius_arcsec : `float`
        Radius of all circles, at least 0 and below 90 degrees.
    level : `int`
        Subdivision level of the trixels.

    Returns
    -------
    trixels : `numpy.ndarray` [int64]
        Sorted, without repetition. Complete: a position within the radius of
        a centre is always in one of them. Beside a corner of a trixel a few
        may be listed that the circle just misses.

    Raises
    ------
    InvalidPositionError
        If a position is not finite.
    InvalidLevelError
        If there is no such level.

    Notes
    -----
    The mesh is descended from its eight roots. A child is left out only for
    one of two reasons: the centre is beyond one of its edges by more than the
    radius, while the child lies on the inner side of all its edges; or it is
    farther from the child's middle than the radius and the child's
    circumscribed circle together. Neither is possible for a child that the
    circle touches, so the answer is complete. No sampling of the circle is
    involved, hence no condition on radius and trixel size.
    """
    check_level(level)
    if not 0.0 <= radius_arcsec < 90.0 * 3600.0:
        raise ValueError(f"radius_arcsec must be at least 0 and below 90 degrees, not {radius_arcsec}")
    centres = unit_vectors(ra, dec)
    if not np.isfinite(centres).all():
        raise InvalidPositionError("ra and dec must be finite degrees; set rows without a position aside first")
    sine = math.sin(radius_arcsec / ARCSEC_PER_RADIAN)
    return np.unique(_touched(centres, sine, chord(radius_arcsec), level))


@njit(cache=True, error_model="numpy")
def _touched(centres: FloatArray, sine: float, reach: float, level: int) -> IntArray:
    found = np.empty(2 * len(centres) + 8, np.int64)
    n_found = 0
    corners = np.empty((_STACK_SIZE, 3, 3))
    indices = np.empty(_STACK_SIZE, np.int64)
    levels = np.empty(_STACK_SIZE, np.int64)
    for i in range(len(centres)):
        v = (centres[i, 0], centres[i, 1], centres[i, 2])
        corners[:8] = ROOTS
        indices[:8] = np.arange(8, 16)
        levels[:8] = 0
        depth = 8
        while depth > 0:
            depth -= 1
            index, own_level = indices[depth], levels[depth]
            a, b, c = _corner(corners[depth, 0]), _corner(corners[depth, 1]), _corner(corners[depth, 2])
            if _beyond(v, a, b, sine) or _beyond(v, b, c, sine) or _beyond(v, c, a, sine):
                continue
            if _apart(v, a, b, c, reach):
                continue
            if own_level == level:
                if n_found == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[n_found] = index
                n_found += 1
                continue
            ab, bc, ca = midpoint(a, b), midpoint(b, c), midpoint(c, a)
            for child, (p, q, r) in enumerate(((a, ab, ca), (b, bc, ab), (c, ca, bc), (bc, ca, ab))):
                for axis in range(3):
                    corners[depth, 0, axis] = p[axis]
                    corners[depth, 1, axis] = q[axis]
                    corners[depth, 2, axis] = r[axis]
                indices[depth] = 4 * index + child
                levels[depth] = own_level + 1
                depth += 1
    return found[:n_found]


@njit(cache=True, error_model="numpy", inline="always")
def _corner(row: FloatArray) -> Corner:
    return row[0], row[1], row[2]


@njit(cache=True, error_model="numpy", inline="always")
def _beyond(v: Corner, p: Corner, q: Corner, sine: float) -> bool:
    """Tell whether v is right of the edge from p to q by more than a circle's radius."""
    # q - p instead of q keeps the digits that a short edge would cancel.
    dx, dy, dz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    nx, ny, nz = p[1] * dz - p[2] * dy, p[2] * dx - p[0] * dz, p[0] * dy - p[1] * dx
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    wx, wy, wz = v[0] - p[0], v[1] - p[1], v[2] - p[2]
    return wx * nx + wy * ny + wz * nz < -sine * length - _ROUNDING * (sine + length)


@njit(cache=True, error_model="numpy", inline="always")
def _apart(v: Corner, a: Corner, b: Corner, c: Corner, reach: float) -> bool:
    """Tell whether the circle misses the cap round the trixel; distances are chords."""
    x, y, z = a[0] + b[0] + c[0], a[1] + b[1] + c[1], a[2] + b[2] + c[2]
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    middle = (x * scale, y * scale, z * scale)
    cap = max(_distance(middle, a), _distance(middle, b), _distance(middle, c))
    return _distance(v, middle) > cap + reach + _ROUNDING


@njit(cache=True, error_model="numpy", inline="always")
def _distance(p: Corner, q: Corner) -> float:
    return math.sqrt((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2)
