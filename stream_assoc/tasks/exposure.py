"""What the tasks need to know of an image, without its pixels."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import BatchId, ImageUris
from stream_assoc.core.model.batch_checks import check_visit
from stream_assoc.core.model.times import is_number
from stream_assoc.core.model.types import FloatArray
from stream_assoc.tasks.exceptions import ExposureError

_NUMBERS: Final = {"photoCalib": True, "photoCalibErr": False, "pixelScale": True}
"""Numbers that calibrate, and whether they must be above zero."""


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
    images : `~stream_assoc.core.model.batch.ImageUris`, optional
        Where the images are, for forced photometry.

    Raises
    ------
    ExposureError
        If the band is none of Rubin's; visit, detector, midpoint or exposure
        time are out of range (see `~stream_assoc.core.model.batch_checks.check_visit`);
        or a calibration or pixel scale is not finite and above zero.
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
        try:
            check_visit(self.id, self.band, self.midpointMjdTai, self.exposureTime)
        except InvalidBatchError as error:
            raise ExposureError(str(error)) from None
        try:
            np.asarray(self.footprint, np.float64)
        except (TypeError, ValueError) as error:
            raise ExposureError(
                f"visit {self.visit} detector {self.detector}: footprint must be (ra, dec) pairs in degrees: {error}"
            ) from None
        for name, positive in _NUMBERS.items():
            number = getattr(self, name)
            if number is None:
                continue
            if not (is_number(number) and math.isfinite(number) and (number > 0 or (number == 0 and not positive))):
                raise ExposureError(
                    f"visit {self.visit} detector {self.detector}: {name} is {number}; it must be a finite number "
                    + ("above 0" if positive else "that is not negative")
                )

    @property
    def id(self) -> BatchId:
        """Visit and detector."""
        return BatchId(self.visit, self.detector)
