"""Which pixels of an image a cutout shows, and how these lie on the sky.

As upstream (``lsst.ap.association.PackageAlertsTask``): a square about the
source, as large as the box of its footprint, within bounds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.photometry.celestial import sky_of
from stream_assoc.photometry.exposure import Exposure

SMALLEST: Final = 30
"""Pixels a side."""

LARGEST: Final = 102
"""Pixels a side: the longest trail, 62 pixels, and a PSF."""

_SAME_PIXELS: Final = 1.0
"""How far the two positions of a source on an image may be apart: more than a WCS is off, less than another grid."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a cutout must know of its source, in columns of one length.

    Attributes
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        ICRS, degrees.
    x, y : `numpy.ndarray` [float64], shape (n,)
        Where it was detected, pixels; NaN where that is unknown.
    size : `numpy.ndarray` [int64], shape (n,)
        Side of its cutouts, pixels.
    """

    ra: FloatArray
    dec: FloatArray
    x: FloatArray
    y: FloatArray
    size: IntArray

    @classmethod
    def of(cls, rows: pa.Table) -> "Sources":
        """Return the sources of rows of DiaSource: ``ra``, ``dec``, ``x``, ``y`` and ``bboxSize``."""
        ra, dec, x, y, extent = (
            rows[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec", "x", "y", "bboxSize")
        )
        return cls(ra, dec, x, y, np.nan_to_num(extent).clip(SMALLEST, LARGEST).astype(np.int64))

    def __len__(self) -> int:
        return len(self.ra)


@dataclass(frozen=True, slots=True)
class Boxes:
    """The cutouts that there can be of an image, in columns of one length.

    Attributes
    ----------
    source : `numpy.ndarray` [int64], shape (m,)
        Rows of the sources that lie on the image, ascending.
    left, below : `numpy.ndarray` [int64], shape (m,)
        The first column and row of the image's array; outside of it at an edge.
    size : `numpy.ndarray` [int64], shape (m,)
        Columns, and rows.
    x, y : `numpy.ndarray` [float64], shape (m,)
        Where the image's WCS has the source, pixels of the array.
    matrix : `numpy.ndarray` [float64], shape (m, 2, 2)
        Degrees to the east and to the north a pixel along x and along y, at the source.
    """

    source: IntArray
    left: IntArray
    below: IntArray
    size: IntArray
    x: FloatArray
    y: FloatArray
    matrix: FloatArray

    def __len__(self) -> int:
        return len(self.source)


def boxes_of(exposure: Exposure, sources: Sources) -> Boxes:
    """Return the boxes of the sources whose pixel is on an image.

    The columns ``x`` and ``y`` tell where a source is, as upstream has it, if
    they are pixels of this image; otherwise its WCS does, where they are
    missing or belong to another grid.
    """
    x, y = exposure.pixels_of(sources.ra, sources.dec)
    given_x, given_y = sources.x - exposure.origin[0], sources.y - exposure.origin[1]
    given = np.hypot(given_x - x, given_y - y) < _SAME_PIXELS
    centre_x, centre_y = np.where(given, given_x, x), np.where(given, given_y, y)
    height, width = exposure.image.shape
    inside = (centre_x >= -0.5) & (centre_x < width - 0.5) & (centre_y >= -0.5) & (centre_y < height - 0.5)
    matrix = np.full((len(sources), 2, 2), np.nan)
    matrix[inside] = _matrix(exposure, x[inside], y[inside], sources.ra[inside], sources.dec[inside])
    rows = np.flatnonzero(np.isfinite(matrix).all(axis=(1, 2)))
    size = sources.size[rows]
    return Boxes(
        rows, _first(centre_x[rows], size), _first(centre_y[rows], size), size, x[rows], y[rows], matrix[rows]
    )


def _first(centre: FloatArray, size: IntArray) -> IntArray:
    """Return the first of so many pixels about a position, as ``lsst.geom.Box2I.makeCenteredBox``."""
    return np.floor(centre - 0.5 * size + 1.0).astype(np.int64)


def _matrix(exposure: Exposure, x: FloatArray, y: FloatArray, ra: FloatArray, dec: FloatArray) -> FloatArray:
    """Return the linear part of a WCS at some positions, on the plane that touches the sky there, shape (n, 2, 2)."""
    n = len(x)
    if not n:
        return np.empty((0, 2, 2))
    steps_x, steps_y = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])[:, :, np.newaxis]
    ra_around, dec_around = sky_of(exposure.wcs, (x + steps_x).ravel(), (y + steps_y).ravel())
    east, north = _on_tangent_plane(ra_around.reshape(4, n), dec_around.reshape(4, n), ra, dec)
    columns = [[0.5 * (axis[0] - axis[1]), 0.5 * (axis[2] - axis[3])] for axis in (east, north)]
    return np.moveaxis(np.array(columns), 2, 0)


def _on_tangent_plane(
    ra: FloatArray, dec: FloatArray, ra0: FloatArray, dec0: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the gnomonic projection of positions about others, all in degrees."""
    turn, dec, dec0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    depth = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(turn)
    east = np.cos(dec) * np.sin(turn) / depth
    north = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(turn)) / depth
    return np.degrees(east), np.degrees(north)
