"""The tangent plane, where great circles are straight lines, and the outline of a batch that comes without one."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.positions import has_position
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, to_radec, unit_vectors
from stream_assoc.tools.transform.exceptions import FootprintError


@dataclass(frozen=True, slots=True)
class TangentPlane:
    """Gnomonic projection about one direction (Calabretta & Greisen 2002, TAN).

    Great circles become straight lines, so a polygon drawn in the plane is a
    spherical polygon on the sky, at the poles and across RA 0 as elsewhere.

    Attributes
    ----------
    centre, east, north : `numpy.ndarray` [float64], shape (3,)
        An orthonormal basis: the tangent point, and the directions of the two
        axes of the plane.
    """

    centre: FloatArray
    east: FloatArray
    north: FloatArray

    @classmethod
    def at(cls, direction: npt.ArrayLike, rotation_deg: float = 0.0) -> "TangentPlane":
        """Return the plane that touches the sphere at ``direction``.

        Parameters
        ----------
        direction : array-like [float64], shape (3,)
            Any non-zero vector.
        rotation_deg : `float`
            Turns the axes, east towards north.
        """
        centre = np.asarray(direction, dtype=np.float64)
        centre = centre / np.linalg.norm(centre)
        # At a pole east is undefined; any perpendicular direction serves.
        pole = np.array([0.0, 0.0, 1.0]) if abs(centre[2]) < 1.0 - 1e-12 else np.array([0.0, 1.0, 0.0])
        east = np.cross(pole, centre)
        east /= np.linalg.norm(east)
        north = np.cross(centre, east)
        cosine, sine = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
        return cls(centre, cosine * east + sine * north, cosine * north - sine * east)

    def project(self, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the plane coordinates of unit vectors less than 90 degrees from the centre.

        Returns
        -------
        x, y : `numpy.ndarray` [float64], shape (n,)
            In units of the sphere's radius; radians near the centre.
        """
        depth = vectors @ self.centre
        return vectors @ self.east / depth, vectors @ self.north / depth

    def unproject(self, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
        """Return the unit vectors of plane coordinates, shape (n, 3)."""
        vectors = self.centre + np.multiply.outer(x, self.east) + np.multiply.outer(y, self.north)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


MAX_RADIUS_DEG: Final = 10.0
"""Wider than any camera's detector: a batch beyond it was grouped by the wrong columns."""


def footprint_of(ra: FloatArray, dec: FloatArray, margin_arcsec: float) -> FloatArray:
    """Return a convex outline of positions, at least a margin away from each.

    The outline is the smallest rectangle, along the axes of the tangent plane
    at the mean direction, that holds every position. It exists for a single
    position and for positions on a line, and no RA is ever compared with
    another one.

    Parameters
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees. What is no position is left out (`~stream_assoc.core.model.positions.is_position`).
    margin_arcsec : `float`
        Smallest distance between a position and the outline; above 0.

    Returns
    -------
    footprint : `numpy.ndarray` [float64], shape (4, 2)
        Vertices (ra, dec) in degrees, counter-clockwise as seen on the sky
        with north up and east left.

    Raises
    ------
    FootprintError
        If there is no position, the margin is not positive, or the positions
        span more than `MAX_RADIUS_DEG` about their mean.
    """
    if not margin_arcsec > 0:
        raise FootprintError(f"a footprint needs a margin above 0 arcsec, not {margin_arcsec}")
    placed = has_position(ra, dec)
    if not placed.any():
        raise FootprintError("no source of the batch has a finite position on the sky: its footprint must be given")
    vectors = unit_vectors(ra[placed], dec[placed])
    plane = TangentPlane.at(_mean_direction(vectors))
    x, y = plane.project(vectors)
    # The plane stretches angles by up to 1 + x² + y², so the margin is stretched with them.
    stretch = 1.0 + np.max(np.abs(x)) ** 2 + np.max(np.abs(y)) ** 2
    margin = np.tan(margin_arcsec / ARCSEC_PER_RADIAN) * stretch * 1.01
    left, right = x.min() - margin, x.max() + margin
    bottom, top = y.min() - margin, y.max() + margin
    corners = plane.unproject(np.array([left, right, right, left]), np.array([bottom, bottom, top, top]))
    return np.stack(to_radec(corners), axis=1)


def _mean_direction(vectors: FloatArray) -> FloatArray:
    mean = vectors.mean(axis=0)
    length = np.linalg.norm(mean)
    if length < 0.5 or np.min(vectors @ mean) < length * np.cos(np.radians(MAX_RADIUS_DEG)):
        raise FootprintError(
            f"the sources of the batch span more than {MAX_RADIUS_DEG} degrees around their mean: "
            "check the columns that name its visit and detector"
        )
    return np.asarray(mean / length)
