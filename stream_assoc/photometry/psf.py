"""What a point source looks like on an image, everywhere or depending on where it is.

Every model is a few images and, for each position, how much of each to take.
So one kernel measures with all of them, and no Python runs for each position.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.types import FloatArray
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


class GriddedModel(Protocol):
    """What a ``photutils.psf.GriddedPSFModel`` tells of itself."""

    @property
    def data(self) -> npt.ArrayLike:
        """Images, shape (n, n_y, n_x)."""

    @property
    def grid_xypos(self) -> npt.ArrayLike:
        """Where each image holds, pixels, shape (n, 2)."""

    @property
    def oversampling(self) -> npt.ArrayLike:
        """Samples a pixel, along y and x."""


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
            If the image is not nearly square with a central pixel, or has no flux.
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

    @classmethod
    def from_photutils(cls, model: GriddedModel) -> "GriddedPsf":
        """Return the model of a ``photutils.psf.GriddedPSFModel``.

        Both are bilinear between the nodes. An oversampled model is taken at
        the pixels: its images are light integrated over pixels, so nothing is
        to be summed. In between ours is a spline through these, so a PSF that
        pixels sample badly is not moved as well as photutils moves it.

        Parameters
        ----------
        model : ``photutils.psf.GriddedPSFModel``
            Of one image a node of a rectangular grid.

        Raises
        ------
        ImageUnreadableError
            If its nodes are no such grid, or its images have no central pixel.
        """
        images = np.asarray(model.data, np.float64)
        nodes = np.asarray(model.grid_xypos, np.float64)
        step_y, step_x = (int(step) for step in np.broadcast_to(model.oversampling, 2))
        if images.shape[1] % 2 == 0 or images.shape[2] % 2 == 0:
            raise ImageUnreadableError(f"a PSF of {images.shape[1:]} pixels has no central one; give it odd sides")
        first_y, first_x = images.shape[1] // 2 % step_y, images.shape[2] // 2 % step_x
        order = np.lexsort((nodes[:, 0], nodes[:, 1]))
        x, y = np.unique(nodes[:, 0]), np.unique(nodes[:, 1])
        if not np.array_equal(nodes[order], np.column_stack([np.tile(x, len(y)), np.repeat(y, len(x))])):
            raise ImageUnreadableError("the nodes of the PSF are no rectangular grid")
        return cls.of(images[order, first_y::step_y, first_x::step_x], x, y)

    def coefficients(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the bilinear weight of every node, shape (n, n_y * n_x)."""
        return np.asarray((_hats(y, self.y)[:, :, None] * _hats(x, self.x)[:, None, :]).reshape(len(x), -1))


def _hats(values: FloatArray, nodes: FloatArray) -> FloatArray:
    """Return the weights with which values lie between nodes, shape (n, n_nodes)."""
    return np.column_stack([np.interp(values, nodes, unit) for unit in np.eye(len(nodes))])


def _normalised(images: npt.NDArray[np.generic]) -> FloatArray:
    """Return images of a flux of one, square: Rubin's templates have some of 47 x 49 pixels."""
    stack = np.ascontiguousarray(images, dtype=np.float64)
    sides = stack.shape[1:]
    # More than twice as long as wide is no PSF, and would be padded to any size.
    if len(sides) != 2 or not len(stack) or not all(side % 2 and max(sides) <= 2 * side for side in sides):
        raise ImageUnreadableError(
            "PSF images must be square, or nearly so, with an odd number of pixels a side, not of shape "
            f"{images.shape}"
        )
    stack = np.pad(stack, [(0, 0), *(2 * ((max(sides) - side) // 2,) for side in sides)])
    total = stack.sum(axis=(1, 2), keepdims=True)
    if not (np.isfinite(stack).all() and (total > 0.0).all()):
        raise ImageUnreadableError("a PSF image must hold finite values of a positive sum")
    return np.asarray(stack / total)
