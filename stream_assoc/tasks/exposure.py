"""What the tasks need to know of an image, without its pixels."""

from dataclasses import dataclass, field

import numpy as np

from stream_assoc.model.batch import BatchId, ImageUris
from stream_assoc.model.types import BANDS, FloatArray
from stream_assoc.tasks.exceptions import ExposureError


@dataclass(frozen=True, slots=True)
class Exposure:
    """One detector of one visit: the part of ``lsst.afw.image.Exposure`` that association uses.

    Attributes
    ----------
    visit, detector : `int`
    band : `str`
        One of ``ugrizy``.
    midpointMjdTai : `float`
        Middle of the exposure, MJD TAI.
    footprint : `numpy.ndarray` [float64], shape (k, 2)
        Corners (ra, dec) of the detector in degrees, k >= 3.
    exposureTime : `float`, optional
        Seconds.
    photoCalib, photoCalibErr : `float`, optional
        Mean calibration: nJy for one unit of instrumental flux, and its error.
    pixelScale : `float`, optional
        Arcsec a pixel, for catalogues that do not carry a local WCS.
    images : `~stream_assoc.model.batch.ImageUris`, optional
        Where the images are, for forced photometry.

    Raises
    ------
    ExposureError
        If the band is none of Rubin's, or the midpoint is not finite.
    """

    visit: int
    detector: int
    band: str
    midpointMjdTai: float
    footprint: FloatArray
    exposureTime: float | None = None
    photoCalib: float | None = None
    photoCalibErr: float = 0.0
    pixelScale: float | None = None
    images: ImageUris = field(default_factory=ImageUris)

    def __post_init__(self) -> None:
        if self.band not in BANDS:
            raise ExposureError(f"band {self.band!r} is none of {', '.join(BANDS)}, the bands of the APDB")
        if not np.isfinite(self.midpointMjdTai):
            raise ExposureError(f"midpointMjdTai must be an MJD in TAI, not {self.midpointMjdTai}")

    @property
    def id(self) -> BatchId:
        """Visit and detector."""
        return BatchId(self.visit, self.detector)
