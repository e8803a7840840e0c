"""An image of the sky with all that a flux needs.

Pixel positions are array indices: (0, 0) is the middle of the first pixel, x
runs along a row. FITS headers count from one; the readers take that off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import BANDS, BoolArray, Float32Array, FloatArray
from stream_assoc.photometry.celestial import pixels_of, sky_of
from stream_assoc.photometry.exceptions import ImageMismatchError, ImageUnreadableError
from stream_assoc.photometry.psf import Psf

_FARTHEST_ORIGIN: Final = 2**31


@dataclass(frozen=True, slots=True)
class VisitInfo:
    """What an image tells of the visit it was taken in; each may be missing."""

    visit: int | None = None
    detector: int | None = None
    band: str | None = None

    def check(self, name: str, batch: BatchId, band: str) -> None:
        """Refuse an image that was taken in another visit, by another detector or in another band.

        Parameters
        ----------
        name : `str`
            What a message calls it.
        batch : `~stream_assoc.core.model.batch.BatchId`
        band : `str`

        Raises
        ------
        ImageMismatchError
        """
        if self.band in BANDS and self.band != band:
            raise ImageMismatchError(
                f"the image {name!r} is in band {self.band}, the batch in {band}; name the image of the batch"
            )
        if self.visit not in {None, batch.visit} or self.detector not in {None, batch.detector}:
            raise ImageMismatchError(
                f"the image {name!r} is of visit {self.visit} and detector {self.detector}, and the batch of "
                f"{batch.visit} and {batch.detector}; name the image of the batch"
            )


@dataclass(frozen=True, slots=True)
class Exposure:
    """An image, its noise and its masks.

    Attributes
    ----------
    image : `numpy.ndarray` [float32], shape (n_y, n_x)
        Background-subtracted counts.
    variance : `numpy.ndarray` [float32], shape (n_y, n_x)
        Squared standard deviation of each pixel, counts squared.
    mask : `numpy.ndarray` [int32], shape (n_y, n_x)
        One bit a mask plane.
    mask_planes : `~collections.abc.Mapping` [`str`, `int`]
        The bit of each plane, 0 to 31.
    wcs : `astropy.wcs.WCS`
        From the sky to pixels; see `~stream_assoc.photometry.celestial.frame_of`.
    psf : `~stream_assoc.photometry.psf.Psf`
    nJy_per_count : `float`
        Photometric calibration. Where an aperture correction is wanted, it is
        part of this.
    visit_info : `VisitInfo`
    origin : `tuple` [`int`, `int`]
        The x and y that the producer gives the first pixel, as in the columns
        of DiaSource: other than 0 where the image is a part of a larger one.

    Raises
    ------
    ImageUnreadableError
        If image, variance and mask do not have one shape in two dimensions,
        the calibration is no positive number, a plane has no such bit or the
        origin is beyond any image.
    """

    image: Float32Array
    variance: Float32Array
    mask: "npt.NDArray[np.int32]"
    mask_planes: Mapping[str, int]
    wcs: WCS
    psf: Psf
    nJy_per_count: float
    visit_info: VisitInfo = VisitInfo()
    origin: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        shapes = {self.image.shape, self.variance.shape, self.mask.shape}
        if len(shapes) > 1 or self.image.ndim != 2:
            raise ImageUnreadableError(
                f"image, variance and mask must have one shape in two dimensions, not "
                f"{self.image.shape}, {self.variance.shape} and {self.mask.shape}"
            )
        if not 0.0 < self.nJy_per_count < np.inf:
            raise ImageUnreadableError(f"the calibration must be a positive number of nJy, not {self.nJy_per_count}")
        if not all(0 <= bit < 32 for bit in self.mask_planes.values()):
            raise ImageUnreadableError("the bits of the mask planes must lie between 0 and 31")
        if any(abs(first) > _FARTHEST_ORIGIN for first in self.origin):
            raise ImageUnreadableError(f"its first pixel is said to be {self.origin}; correct LTV1 and LTV2")

    def pixels_of(self, ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where positions of the sky lie on the image.

        Parameters
        ----------
        ra, dec : `numpy.ndarray` [float64], shape (n,)
            ICRS, degrees.

        Returns
        -------
        x, y : `numpy.ndarray` [float64], shape (n,)
            Pixels; NaN where the projection does not reach, or its distortion cannot be inverted.
        """
        if not len(ra):
            return np.empty(0), np.empty(0)
        return pixels_of(self.wcs, ra, dec)

    def contains(self, ra: FloatArray, dec: FloatArray) -> BoolArray:
        """Tell which positions, in degrees, lie on a pixel of the image."""
        height, width = self.image.shape
        x, y = self.pixels_of(ra, dec)
        return np.asarray((x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5))

    def footprint(self) -> FloatArray:
        """Return the image's corners as (ra, dec) in degrees, shape (4, 2), in the order of `Batch.footprint`."""
        height, width = self.image.shape
        x = np.array([0.0, width, width, 0.0]) - 0.5
        y = np.array([0.0, 0.0, height, height]) - 0.5
        return np.column_stack(sky_of(self.wcs, x, y))

    def bits(self, planes: Sequence[str]) -> int:
        """Return the mask bits of the planes that the image has; it need not have all."""
        return sum(1 << self.mask_planes[plane] for plane in {*planes} & {*self.mask_planes})
