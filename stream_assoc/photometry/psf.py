"""What a point source looks like on an image, everywhere or depending on where it is.

Every model is a few images and, for each position, how much of each to take.
So one kernel measures with all of them, and no Python runs for each position.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stream_assoc.model.types import FloatArray
from stream_assoc.photometry.exceptions import ImageUnreadableError


class Psf(Protocol):
    """A point-spread function as a sum of images."""

    @property
    def images(self) -> FloatArray:
        """Images of a source in the middle of the central pixel, shape (k, size, size); ``size`` is odd."""

    def coefficients(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return how much of each image a source at these positions shows, shape (n, k).

        Parameters
        ----------
        x, y : `numpy.ndarray` [float64], shape (n,)
            Pixels, zero in the middle of the first one.
        """


def image_at(psf: Psf, x: float, y: float) -> FloatArray:
    """Return the image of a source in the middle of a pixel near this position, of total flux one."""
    weights = psf.coefficients(np.array([x]), np.array([y]))[0]
    return np.asarray(np.tensordot(weights, psf.images, axes=1))


@dataclass(frozen=True, slots=True)
class ConstantPsf:
    """The same point-spread function all over an image; build it with `of`."""

    images: FloatArray

    @classmethod
    def of(cls, image: npt.ArrayLike) -> "ConstantPsf":
        """Return the model of one image, scaled to a total flux of one.

        Raises
        ------
        ImageUnreadableError
            If the image is not square with a central pixel, or has no flux.
        """
        return cls(_normalised(np.asarray(image)[None]))

    def coefficients(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return one for every position, shape (n, 1)."""
        return np.ones((len(x), 1))


@dataclass(frozen=True, slots=True)
class GriddedPsf:
    """A point-spread function known at the nodes of a grid, bilinear in between; build it with `of`.

    Beyond the grid the nearest point of its border counts.
    """

    images: FloatArray
    x: FloatArray
    y: FloatArray

    @classmethod
    def of(cls, images: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> "GriddedPsf":
        """Return the model of these images, each scaled to a total flux of one.

        Parameters
        ----------
        images : array-like [float64], shape (n_y * n_x, size, size)
            Row after row of the grid, x running fastest.
        x, y : array-like [float64], shape (n_x,) and (n_y,)
            The columns and rows of the grid, pixels, ascending.

        Raises
        ------
        ImageUnreadableError
            If there is not one image a node, or no ascending grid.
        """
        columns, rows = np.asarray(x, np.float64), np.asarray(y, np.float64)
        normalised = _normalised(np.asarray(images))
        if len(columns) * len(rows) != len(normalised):
            raise ImageUnreadableError(
                f"the PSF has {len(normalised)} images for a grid of {len(columns)} x {len(rows)} nodes; "
                "write one a node"
            )
        if not ((np.diff(columns) > 0.0).all() and (np.diff(rows) > 0.0).all()):
            raise ImageUnreadableError("the nodes of the PSF's grid must ascend in x and in y")
        return cls(normalised, columns, rows)

    def coefficients(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the bilinear weight of every node, shape (n, n_y * n_x)."""
        return np.asarray((_hats(y, self.y)[:, :, None] * _hats(x, self.x)[:, None, :]).reshape(len(x), -1))


def _hats(values: FloatArray, nodes: FloatArray) -> FloatArray:
    """Return the weights with which values lie between nodes, shape (n, n_nodes)."""
    return np.column_stack([np.interp(values, nodes, unit) for unit in np.eye(len(nodes))])


def _normalised(images: npt.NDArray[np.generic]) -> FloatArray:
    stack = np.ascontiguousarray(images, dtype=np.float64)
    if stack.ndim != 3 or stack.shape[1] != stack.shape[2] or stack.shape[1] % 2 == 0 or not len(stack):
        raise ImageUnreadableError(
            f"PSF images must be square with an odd number of pixels a side, not of shape {images.shape}"
        )
    total = stack.sum(axis=(1, 2), keepdims=True)
    if not (np.isfinite(stack).all() and (total > 0.0).all()):
        raise ImageUnreadableError("a PSF image must hold finite values of a positive sum")
    return np.asarray(stack / total)
