"""The tangent plane of the sky: where great circles are straight lines."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.types import FloatArray


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
