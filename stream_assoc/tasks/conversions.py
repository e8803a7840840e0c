"""Instrumental measurements to Rubin's units: the arithmetic of ``DiaSource.yaml``'s functors.

Functors of ``lsst.pipe.tasks.functors`` (June 2026) that upstream applies:
``LocalNanojansky``, ``LocalDipoleMeanFlux``, ``LocalDipoleDiffFlux``,
``ConvertPixelToArcseconds``, ``ConvertPixelSqToArcsecondsSq``, ``RAColumn``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream_assoc.core.model.types import FloatArray
from stream_assoc.tasks.exceptions import CatalogError, ExposureError
from stream_assoc.tasks.exposure import Exposure
from stream_assoc.tasks.tables import floats, is_instrumental, unit_of

LOCAL_CALIBRATION: Final = "base_LocalPhotoCalib"
LOCAL_WCS: Final = tuple(f"base_LocalWcs_CDMatrix_{element}" for element in ("1_1", "1_2", "2_1", "2_2"))
DIPOLE: Final = "ip_diffim_DipoleFit"

_DEGREES: Final = float(np.degrees(1.0))
_COORDINATES: Final[Mapping[str, tuple[str, str, float]]] = {
    "coord_ra": ("ra", "deg", _DEGREES),
    "coord_dec": ("dec", "deg", _DEGREES),
    "coord_raErr": ("raErr", "deg", _DEGREES),
    "coord_decErr": ("decErr", "deg", _DEGREES),
    "coord_ra_dec_Cov": ("ra_dec_Cov", "deg**2", _DEGREES**2),
}
_SHAPES: Final[Mapping[str, str]] = {
    f"slot_{shape}_{moment}": f"i{moment}{suffix}"
    for shape, suffix in (("Shape", ""), ("PsfShape", "PSF"))
    for moment in ("xx", "yy", "xy")
}


CONVERTED: Final = frozenset(
    {
        LOCAL_CALIBRATION,
        *LOCAL_WCS,
        *_COORDINATES,
        *_SHAPES,
        *(f"{DIPOLE}_{lobe}_instFlux{err}" for err in ("", "Err") for lobe in ("pos", "neg")),
        f"{DIPOLE}_separation",
    }
)
"""Columns that are read here where a catalogue has them."""


@dataclass(frozen=True, slots=True)
class Detections:
    """A catalogue of detections and the exposure they are on."""

    table: pa.Table
    exposure: Exposure

    def has(self, *names: str) -> bool:
        """Tell whether all these columns are there."""
        return set(names) <= set(self.table.column_names)

    def column(self, name: str, unit: str | None = None) -> FloatArray:
        """Return a column as float64, nulls as NaN, in a unit if one is given."""
        return floats(self.table, name, unit)

    def has_unit(self, name: str) -> bool:
        """Tell whether a column says what unit it is in."""
        return bool(unit_of(self.table, name))

    def instrumental(self, name: str) -> FloatArray:
        """Return a flux that is still to be calibrated.

        Raises
        ------
        CatalogError
            If it says that it is in other units than counts.
        """
        unit = unit_of(self.table, name)
        if not is_instrumental(unit, name):
            raise CatalogError(
                f"column {name!r} is in {unit}, and is to be calibrated from counts; give instrumental fluxes, or "
                "leave it out of calibrateColumns"
            )
        return self.column(name)

    def calibration(self) -> FloatArray | float:
        """Return nJy for one unit of instrumental flux, of each detection if the catalogue knows.

        NaN where the catalogue holds one that is not a finite number above 0.

        Raises
        ------
        ExposureError
            If neither catalogue nor exposure knows.
        """
        if self.has(LOCAL_CALIBRATION):
            return _positive(self.column(LOCAL_CALIBRATION))
        if self.exposure.photoCalib is None:
            raise ExposureError(
                f"fluxes cannot be calibrated: give Exposure.photoCalib, or a column {LOCAL_CALIBRATION}"
            )
        return self.exposure.photoCalib

    def pixel_scale(self) -> FloatArray | float:
        """Return arcsec a pixel, at each detection if the catalogue knows.

        NaN where the catalogue holds a matrix that is singular or not finite.

        Raises
        ------
        ExposureError
            If neither catalogue nor exposure knows.
        """
        if self.has(*LOCAL_WCS):
            cd11, cd12, cd21, cd22 = (self.column(name, "rad / pix") for name in LOCAL_WCS)
            return _positive(3600.0 * _DEGREES * np.sqrt(np.abs(cd11 * cd22 - cd12 * cd21)))
        if self.exposure.pixelScale is None:
            raise ExposureError(
                f"pixels cannot be turned into arcsec: give Exposure.pixelScale, or columns {', '.join(LOCAL_WCS)}"
            )
        return self.exposure.pixelScale


def coordinates(detections: Detections) -> dict[str, FloatArray]:
    """Return positions and their errors in degrees; a column without unit is in radians, as those of afw are."""
    made = {}
    for name, (target, unit, factor) in _COORDINATES.items():
        if detections.has(name):
            is_given = detections.has_unit(name)
            made[target] = detections.column(name, unit) if is_given else detections.column(name) * factor
    return made


def calibrated(detections: Detections, flux: str, error: str) -> tuple[FloatArray, FloatArray]:
    """Return a flux and its error in nJy.

    The error is that of the flux, and if `Exposure.photoCalibErr` is given
    that of the calibration in quadrature.
    """
    calibration, instrumental = detections.calibration(), detections.instrumental(flux)
    from_calibration = instrumental * detections.exposure.photoCalibErr
    return instrumental * calibration, np.hypot(detections.instrumental(error) * calibration, from_calibration)


def dipoles(detections: Detections) -> dict[str, FloatArray]:
    """Return what the dipole fit measured: fluxes in nJy, ``dipoleLength`` in arcsec.

    Columns that need an input that is not there are left out.
    """
    made: dict[str, FloatArray] = {}
    lobes = tuple(f"{DIPOLE}_{lobe}_instFlux{err}" for err in ("", "Err") for lobe in ("pos", "neg"))
    if detections.has(*lobes):
        calibration = detections.calibration()
        positive, negative, positive_error, negative_error = (detections.instrumental(name) for name in lobes)
        error = np.hypot(positive_error, negative_error) * calibration
        positive, negative = np.abs(positive * calibration), np.abs(negative * calibration)
        made |= {
            "dipoleMeanFlux": 0.5 * (positive + negative),
            "dipoleMeanFluxErr": 0.5 * error,
            "dipoleFluxDiff": positive - negative,
            "dipoleFluxDiffErr": error,
        }
    if detections.has(f"{DIPOLE}_separation"):
        made["dipoleLength"] = detections.column(f"{DIPOLE}_separation", "pix") * detections.pixel_scale()
    return made


def shapes(detections: Detections) -> dict[str, FloatArray]:
    """Return the second moments in arcsec²; those that are not there are left out."""
    present = {name: target for name, target in _SHAPES.items() if detections.has(name)}
    return {
        target: detections.column(name, "pix**2") * detections.pixel_scale() ** 2 for name, target in present.items()
    }


def _positive(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values) & (values > 0.0), values, np.nan)


def bounding_box_size(
    x: FloatArray, y: FloatArray, box: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
) -> npt.NDArray[np.int32]:
    """Return the side of the square centred on each detection that holds its footprint.

    Parameters
    ----------
    x, y : `numpy.ndarray` [float64], shape (n,)
        Centroids, pixels.
    box : `tuple` of four `numpy.ndarray` [float64], shape (n,)
        First and last column, first and last row of each footprint, pixels.

    Returns
    -------
    size : `numpy.ndarray` [int32], shape (n,)
        Pixels; at most twice the longer side of the footprint, which is
        enough wherever in it the centroid is, and so where there is none.
    """
    left, right, bottom, top = box
    largest = 2.0 * np.maximum(right - left + 1.0, top - bottom + 1.0)
    reach = np.max(np.abs([right - x, left - x, top - y, bottom - y]), axis=0)
    size = np.fmin(np.ceil(2.0 * reach), largest)
    return np.asarray(size, np.int32)
