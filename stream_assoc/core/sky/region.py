"""The outline of a detector on the sky."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from lsst.sphgeom import Angle, ConvexPolygon, HtmPixelization, RangeSet, Region, UnitVector3d

from stream_assoc.core.exceptions import InvalidFootprintError
from stream_assoc.core.model.positions import MAX_ABS_RA, has_position
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.sky.htm import check_level
from stream_assoc.core.sky.polygons import ROUNDING, Border, has_width, is_wider, within
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, chord, to_radec, unit_vectors

__all__ = ["ConvexFootprint", "trixels_near"]

_CORNERS_OF_DISC: Final = 8


@dataclass(frozen=True, slots=True)
class ConvexFootprint:
    """A convex polygon on the sphere, smaller than a hemisphere.

    Build it with `from_vertices`.

    Attributes
    ----------
    corners : `numpy.ndarray` [float64], shape (k, 3)
        Unit vectors of the hull's corners, counter-clockwise seen from outside.
    edges : `numpy.ndarray` [float64], shape (k, 3)
        Unit normal of each edge's great circle, from corner ``i`` to ``i + 1``,
        pointing into the polygon.
    """

    corners: FloatArray
    edges: FloatArray

    @classmethod
    def from_vertices(cls, vertices: npt.ArrayLike) -> "ConvexFootprint":
        """Return the convex hull of some positions.

        Parameters
        ----------
        vertices : array-like [float64], shape (k, 2)
            (ra, dec) in degrees, at least three distinct, in any order.

        Raises
        ------
        InvalidFootprintError
            If the vertices are not (ra, dec) pairs, not finite, fewer than three,
            all on one great circle, or not within one hemisphere.
        """
        corners = _hull(_checked(vertices))
        edges = np.cross(corners, np.roll(corners, -1, axis=0) - corners)
        edges /= np.linalg.norm(edges, axis=1, keepdims=True)
        if not has_width(corners, edges):
            raise InvalidFootprintError("the vertices of the footprint lie on one great circle: it has no area")
        return cls(corners, edges)

    @property
    def vertices(self) -> FloatArray:
        """The hull's corners as (ra, dec) in degrees, shape (k, 2), counter-clockwise."""
        return np.column_stack(to_radec(self.corners))

    def contains(self, ra: npt.ArrayLike, dec: npt.ArrayLike, margin_arcsec: float = 0.0) -> BoolArray:
        """Tell which positions are in the footprint or no farther from it than a margin.

        Parameters
        ----------
        ra, dec : array-like [float64], shape (n,)
            Degrees. A position that is not finite is never inside.
        margin_arcsec : `float`
            At least 0, below 90 degrees.

        Returns
        -------
        inside : `numpy.ndarray` [bool], shape (n,)
            Positions on the border count as inside.
        """
        limit = _margin(margin_arcsec)
        points = unit_vectors(ra, dec)
        following = np.roll(self.corners, -1, axis=0)
        border = Border(self.corners, self.edges, np.cross(self.edges, self.corners), np.cross(following, self.edges))
        return np.asarray(within(points, border, math.sin(limit), chord(limit * ARCSEC_PER_RADIAN)))

    def is_wider_than(self, degrees: float) -> bool:
        """Tell whether two of the corners are farther apart than so many degrees."""
        return bool(is_wider(self.corners, chord(3600.0 * degrees)))

    def n_trixels(self, level: int, margin_arcsec: float = 0.0) -> int:
        """Return how many trixels `trixels` would list, without listing them."""
        check_level(level)
        return int(HtmPixelization(level).envelope(self._grown(_margin(margin_arcsec))).cardinality())

    def trixels(self, level: int, margin_arcsec: float = 0.0) -> IntArray:
        """Return the trixels that cover the footprint grown by a margin.

        Parameters
        ----------
        level : `int`
            Subdivision level.
        margin_arcsec : `float`
            At least 0, below 90 degrees.

        Returns
        -------
        trixels : `numpy.ndarray` [int64]
            Sorted, without repetition. Every position that `contains` accepts
            with the same margin is in one of them; a few more along the
            border may be listed.

        Raises
        ------
        InvalidLevelError
            If there is no such level.
        """
        check_level(level)
        return _expanded(HtmPixelization(level).envelope(self._grown(_margin(margin_arcsec))))

    def inner_trixels(self, level: int) -> IntArray:
        """Return trixels that lie in the footprint with all their points.

        Parameters
        ----------
        level : `int`
            Subdivision level.

        Returns
        -------
        trixels : `numpy.ndarray` [int64]
            Sorted, without repetition; a few along the border may be missing.

        Raises
        ------
        InvalidLevelError
            If there is no such level.
        """
        check_level(level)
        return _expanded(HtmPixelization(level).interior(_polygon(self.corners)))

    def _grown(self, limit: float) -> Region:
        """Return a region that holds all within ``limit`` radians of the polygon.

        It is the hull of octagons that circumscribe the discs round the
        corners. The points at distance ``limit`` from an edge form a small
        circle, which bends inwards of the great circle that touches the discs
        at both ends, so the hull of the discs holds all of them.
        """
        # Rounding of the corners must not uncover a point on the very border.
        radius = math.atan(math.tan(limit + 4.0 * ROUNDING) / math.cos(math.pi / _CORNERS_OF_DISC))
        directions = np.linspace(0.0, 2.0 * math.pi, _CORNERS_OF_DISC, endpoint=False)
        east, north = _tangents(self.corners)
        ring = (
            math.cos(radius) * self.corners[:, None, :]
            + math.sin(radius) * np.cos(directions)[:, None] * east[:, None, :]
            + math.sin(radius) * np.sin(directions)[:, None] * north[:, None, :]
        )
        try:
            return _polygon(ring.reshape(-1, 3))
        except ValueError:
            # Grown beyond a hemisphere: no polygon has that shape, a circle has.
            return _polygon(self.corners).getBoundingCircle().dilatedBy(Angle(limit))


def _checked(vertices: npt.ArrayLike) -> FloatArray:
    points = np.asarray(vertices, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InvalidFootprintError(f"a footprint is a list of (ra, dec) pairs, not an array of shape {points.shape}")
    if not has_position(points[:, 0], points[:, 1]).all():
        raise InvalidFootprintError(
            f"every vertex of a footprint needs a finite ra, at most {MAX_ABS_RA:.0f} degrees either way, "
            "and a dec within [-90, 90] degrees"
        )
    return unit_vectors(points[:, 0], points[:, 1])


def _hull(vectors: FloatArray) -> FloatArray:
    distinct = np.unique(vectors, axis=0)
    if len(distinct) < 3:
        raise InvalidFootprintError(f"a footprint needs at least 3 distinct vertices, this one has {len(distinct)}")
    try:
        polygon = _polygon(distinct)
    except ValueError as error:
        raise InvalidFootprintError(
            f"the vertices of the footprint span no convex polygon below a hemisphere: {error}"
        ) from error
    return np.array([tuple(vertex) for vertex in polygon.getVertices()])


def _polygon(vectors: FloatArray) -> ConvexPolygon:
    return ConvexPolygon([UnitVector3d(x, y, z) for x, y, z in vectors.tolist()])


def _tangents(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two unit vectors perpendicular to each vector and to each other."""
    axes = np.eye(3)[np.argmin(np.abs(vectors), axis=1)]
    first = np.cross(axes, vectors)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(vectors, first)


def _margin(margin_arcsec: float) -> float:
    if not 0.0 <= margin_arcsec < 90.0 * 3600.0:
        raise ValueError(f"margin_arcsec must be at least 0 and below 90 degrees, not {margin_arcsec}")
    return margin_arcsec / ARCSEC_PER_RADIAN


def _expanded(ranges: RangeSet) -> IntArray:
    parts = [np.arange(begin, end, dtype=np.int64) for begin, end in ranges]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
