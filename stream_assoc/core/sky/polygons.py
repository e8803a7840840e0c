"""What is asked of the corners and edges of a convex polygon on the sphere, edge by edge.

A producer chooses how many corners a footprint has, and how many sources are
asked about: no table of one against the other is ever made.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit

from stream_assoc.core.model.types import BoolArray, FloatArray

ROUNDING: Final = 1e-15
"""Of a product of two unit vectors."""

_MIN_WIDTH: Final = 1e-10


class Border(NamedTuple):
    """The border of a convex polygon.

    Attributes
    ----------
    corners : `numpy.ndarray` [float64], shape (k, 3)
        Unit vectors, counter-clockwise seen from outside.
    edges : `numpy.ndarray` [float64], shape (k, 3)
        Unit normal of each edge's great circle, from corner ``i`` to ``i + 1``,
        pointing into the polygon.
    begins, ends : `numpy.ndarray` [float64], shape (k, 3)
        Normals of the great circles that cross each edge at right angles in
        its first and its last corner, pointing along the edge.
    """

    corners: FloatArray
    edges: FloatArray
    begins: FloatArray
    ends: FloatArray


@njit(cache=True, error_model="numpy")
def within(points: FloatArray, border: Border, sine: float, reach: float) -> BoolArray:
    """Tell which points are in a polygon, or no farther from it than a margin.

    Point after point, edge after edge: it takes no memory beside the answer.

    Parameters
    ----------
    points : `numpy.ndarray` [float64], shape (n, 3)
        Unit vectors. One that is NaN is outside.
    border : `Border`
        The polygon's.
    sine, reach : `float`
        Sine and chord of the margin, which is below 90 degrees.

    Returns
    -------
    inside : `numpy.ndarray` [bool], shape (n,)
    """
    edges = border.edges
    inside = np.zeros(len(points), np.bool_)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        least = np.inf
        for k in range(len(edges)):
            height = x * edges[k, 0] + y * edges[k, 1] + z * edges[k, 2]
            # So written, a height that is NaN is far outside.
            least = min(least, height if height >= -2.0 else -2.0)
            if least < -sine - ROUNDING:
                break
        if least >= -ROUNDING:
            inside[i] = True
        elif sine > 0.0 and least >= -sine - ROUNDING:
            inside[i] = _is_near((x, y, z), border, sine, reach)
    return inside


@njit(cache=True, error_model="numpy")
def _is_near(point: tuple[float, float, float], border: Border, sine: float, reach: float) -> bool:
    """Tell whether a point outside is within a margin of a corner, or of an edge between its ends."""
    for k in range(len(border.edges)):
        dx, dy, dz = point[0] - border.corners[k, 0], point[1] - border.corners[k, 1], point[2] - border.corners[k, 2]
        if math.sqrt(dx * dx + dy * dy + dz * dz) <= reach:
            return True
        if (
            abs(_height(point, border.edges, k)) <= sine
            and _height(point, border.begins, k) >= 0.0
            and _height(point, border.ends, k) >= 0.0
        ):
            return True
    return False


@njit(cache=True, error_model="numpy", inline="always")
def _height(point: tuple[float, float, float], normals: FloatArray, k: int) -> float:
    return float(point[0] * normals[k, 0] + point[1] * normals[k, 1] + point[2] * normals[k, 2])


@njit(cache=True, error_model="numpy")
def has_width(corners: FloatArray, edges: FloatArray) -> bool:
    """Tell whether each edge has a corner that is away from its great circle.

    The search begins opposite of the edge, where it ends at once unless the
    polygon has no width at all.
    """
    n = len(corners)
    for k in range(n):
        for step in range(n):
            j = (k + n // 2 + step) % n
            height = corners[j, 0] * edges[k, 0] + corners[j, 1] * edges[k, 1] + corners[j, 2] * edges[k, 2]
            if height >= _MIN_WIDTH:
                break
        else:
            return False
    return True


@njit(cache=True, error_model="numpy")
def is_wider(corners: FloatArray, reach: float) -> bool:
    """Tell whether two corners are farther apart than this chord."""
    farthest = 0.0
    for j in range(len(corners)):
        farthest = max(farthest, _distance(corners, 0, j))
    if farthest > reach or 2.0 * farthest <= reach:
        return farthest > reach
    for i in range(1, len(corners)):
        for j in range(i):
            if _distance(corners, i, j) > reach:
                return True
    return False


@njit(cache=True, error_model="numpy", inline="always")
def _distance(corners: FloatArray, i: int, j: int) -> float:
    dx, dy, dz = corners[i, 0] - corners[j, 0], corners[i, 1] - corners[j, 1], corners[i, 2] - corners[j, 2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)
