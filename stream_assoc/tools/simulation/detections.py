"""From a simulated sky to what one detector detects of it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, to_radec
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.sky import SimulatedSky, flux_error_njy, position_error_arcsec
from stream_assoc.tools.simulation.telescope import Detector, Visit
from stream_assoc.tools.simulation.truth import KINDS

BAD_PIXEL_FLAGS: Final = (
    "centroid_flag",
    "pixelFlags_crCenter",
    "pixelFlags_interpolatedCenter",
    "pixelFlags_saturatedCenter",
    "pixelFlags_streakCenter",
)
"""The flags that a flagged artifact may carry, one each."""

ARTIFACT: Final = KINDS.index("artifact")
_MARGIN: Final = 2.0 / ARCSEC_PER_RADIAN


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections of one detector, in columns of one length.

    Attributes
    ----------
    truth_id, ssObjectId, kind : `numpy.ndarray` [int64]
        Of what is detected; ``truth_id`` is 0 for artifacts.
    true_ra, true_dec : `numpy.ndarray` [float64]
        Where the light comes from, degrees.
    ra, dec : `numpy.ndarray` [float64]
        Measured position, degrees.
    position_error : `numpy.ndarray` [float64]
        Along each axis, arcsec.
    x, y : `numpy.ndarray` [float64]
        Measured position, pixels.
    psfFlux, scienceFlux, flux_error : `numpy.ndarray` [float64]
        Measured on the difference and on the direct image, nJy.
    reliability : `numpy.ndarray` [float64]
    flag : `numpy.ndarray` [int64]
        Index into `BAD_PIXEL_FLAGS`, or -1.
    """

    truth_id: IntArray
    ssObjectId: IntArray
    kind: IntArray
    true_ra: FloatArray
    true_dec: FloatArray
    ra: FloatArray
    dec: FloatArray
    position_error: FloatArray
    x: FloatArray
    y: FloatArray
    psfFlux: FloatArray
    scienceFlux: FloatArray
    flux_error: FloatArray
    reliability: FloatArray
    flag: IntArray

    def __len__(self) -> int:
        return len(self.truth_id)

    def take(self, rows: IntArray | BoolArray) -> "Detections":
        """Return the chosen rows, by index or by mask."""
        return Detections(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class ImagedSky:
    """The sky at one visit: what would be on any detector, before noise.

    Attributes
    ----------
    x, y : `numpy.ndarray` [float64], shape (n,)
        Tangent-plane radians; NaN for what is behind the camera.
    psfFlux, scienceFlux : `numpy.ndarray` [float64], shape (n,)
        True fluxes on the difference and on the direct image, nJy.
    """

    x: FloatArray
    y: FloatArray
    psfFlux: FloatArray
    scienceFlux: FloatArray


def image(sky: SimulatedSky, visit: Visit) -> ImagedSky:
    """Project the sky onto the focal plane of a visit."""
    directions = sky.directions(visit.midpointMjdTai)
    in_front = directions @ visit.plane.centre > 0.5
    x, y = visit.plane.project(np.where(in_front[:, np.newaxis], directions, np.nan))
    return ImagedSky(x, y, *sky.fluxes(visit.midpointMjdTai, visit.band))


def detect(
    config: SimulationConfig, sky: SimulatedSky, imaged: ImagedSky, visit: Visit, detector: Detector
) -> Detections:
    """Measure what a detector sees, with the noise of this visit and detector.

    A source on the overlap of two detectors is measured by both, each with
    noise of its own. What is measured to lie outside is not detected, so every
    position is within the footprint. Rows come in the order of the pixels, as
    a detection algorithm would give them.
    """
    random = np.random.default_rng([config.seed, 2, visit.number, detector.number])
    real = _real(config, sky, imaged, visit, detector, random)
    false = _false(config, visit, detector, random)
    peaks = _Peaks(*(np.concatenate([getattr(real, name), getattr(false, name)]) for name in _Peaks.__slots__))
    return _measured(config, peaks, visit, detector, random)


@dataclass(frozen=True, slots=True)
class _Peaks:
    """What rises above the detection limit, and where it really is."""

    truth_id: IntArray
    ssObjectId: IntArray
    kind: IntArray
    x: FloatArray
    y: FloatArray
    psfFlux: FloatArray
    scienceFlux: FloatArray
    flux_error: FloatArray
    reliability: FloatArray
    flag: IntArray


def _real(
    config: SimulationConfig,
    sky: SimulatedSky,
    imaged: ImagedSky,
    visit: Visit,
    detector: Detector,
    random: np.random.Generator,
) -> _Peaks:
    rows = np.flatnonzero(detector.contains(imaged.x, imaged.y, _MARGIN))
    error = flux_error_njy(imaged.scienceFlux[rows], visit.band)
    flux = imaged.psfFlux[rows] + error * random.normal(size=len(rows))
    seen = np.abs(flux) > config.snr_limit * error
    rows, error, flux = rows[seen], error[seen], flux[seen]
    return _Peaks(
        truth_id=sky.truth_id[rows],
        ssObjectId=sky.ssObjectId[rows],
        kind=sky.kind[rows],
        x=imaged.x[rows],
        y=imaged.y[rows],
        psfFlux=flux,
        scienceFlux=imaged.scienceFlux[rows] + error * random.normal(size=len(rows)),
        flux_error=error,
        reliability=random.beta(8.0, 1.5, len(rows)),
        flag=np.full(len(rows), -1),
    )


def _false(config: SimulationConfig, visit: Visit, detector: Detector, random: np.random.Generator) -> _Peaks:
    """Draw artifacts: anywhere, of either sign, mostly faint, many flagged, mostly unreliable."""
    n = int(random.poisson(config.artifacts * config.detector_size_deg**2))
    error = flux_error_njy(np.zeros(n), visit.band)
    snr = config.snr_limit * 1.001 + random.exponential(3.0, n)
    flag = random.integers(len(BAD_PIXEL_FLAGS), size=n)
    return _Peaks(
        truth_id=np.zeros(n, np.int64),
        ssObjectId=np.zeros(n, np.int64),
        kind=np.full(n, ARTIFACT),
        x=detector.x + detector.size * random.uniform(size=n),
        y=detector.y + detector.size * random.uniform(size=n),
        psfFlux=snr * error * random.choice([-1.0, 1.0], n),
        scienceFlux=error * random.normal(size=n),
        flux_error=error,
        reliability=random.beta(1.0, 4.0, n),
        flag=np.where(random.uniform(size=n) < config.flagged_artifacts, flag, -1),
    )


def _measured(
    config: SimulationConfig, peaks: _Peaks, visit: Visit, detector: Detector, random: np.random.Generator
) -> Detections:
    snr = np.abs(peaks.psfFlux) / peaks.flux_error
    error = position_error_arcsec(snr, config.seeing_arcsec, config.astrometric_floor_arcsec)
    noise = random.normal(size=(2, len(snr))) * error / ARCSEC_PER_RADIAN
    x, y = peaks.x + noise[0], peaks.y + noise[1]
    ra, dec = to_radec(visit.plane.unproject(x, y))
    true_ra, true_dec = to_radec(visit.plane.unproject(peaks.x, peaks.y))
    pixel_x, pixel_y = detector.pixels(x, y)
    detections = Detections(
        truth_id=peaks.truth_id,
        ssObjectId=peaks.ssObjectId,
        kind=peaks.kind,
        true_ra=true_ra,
        true_dec=true_dec,
        ra=ra,
        dec=dec,
        position_error=error,
        x=pixel_x,
        y=pixel_y,
        psfFlux=peaks.psfFlux,
        scienceFlux=peaks.scienceFlux,
        flux_error=peaks.flux_error,
        reliability=peaks.reliability,
        flag=peaks.flag,
    )
    inside = np.flatnonzero(detector.contains(x, y))
    return detections.take(inside[np.lexsort((pixel_x[inside], pixel_y[inside]))])


LIGHT_SCHEMA: Final = pa.schema(
    [
        pa.field("visit", pa.int64(), nullable=False),
        pa.field("detector", pa.int16(), nullable=False),
        # Degrees, at the time of the visit.
        pa.field("ra", pa.float64(), nullable=False),
        pa.field("dec", pa.float64(), nullable=False),
        # On the difference and on the science image, nJy.
        pa.field("psfFlux", pa.float64(), nullable=False),
        pa.field("scienceFlux", pa.float64(), nullable=False),
    ]
)
"""Columns of a light table: one row a source of light, visit and detector."""


@dataclass(frozen=True, slots=True)
class Light:
    """Sources of light on a detector or next to it, in columns of one length.

    Attributes
    ----------
    x, y : `numpy.ndarray` [float64]
        Tangent-plane radians about the camera's axis.
    ra, dec : `numpy.ndarray` [float64]
        Degrees.
    psfFlux, scienceFlux : `numpy.ndarray` [float64]
        True fluxes on the difference and on the science image, nJy.
    """

    x: FloatArray
    y: FloatArray
    ra: FloatArray
    dec: FloatArray
    psfFlux: FloatArray
    scienceFlux: FloatArray

    def __len__(self) -> int:
        return len(self.ra)

    def rows(self, batch: BatchId) -> pa.RecordBatch:
        """Return rows in `LIGHT_SCHEMA`."""
        columns = {"visit": np.full(len(self), batch.visit), "detector": np.full(len(self), batch.detector)}
        return pa.RecordBatch.from_arrays(
            [pa.array(columns.get(one.name, getattr(self, one.name, None)), one.type) for one in LIGHT_SCHEMA],
            schema=LIGHT_SCHEMA,
        )

    @classmethod
    def of(cls, rows: pa.Table) -> "Light":
        """Return the light of rows in `LIGHT_SCHEMA`, without the plane coordinates."""
        ra, dec, psfFlux, scienceFlux = (rows.column(name).to_numpy() for name in LIGHT_SCHEMA.names[2:])
        unknown = np.full(len(ra), np.nan)
        return cls(unknown, unknown, ra, dec, psfFlux, scienceFlux)


def light_on(imaged: ImagedSky, visit: Visit, detector: Detector, margin: float) -> Light:
    """Return what shines on a detector grown by ``margin`` radians."""
    rows = np.flatnonzero(detector.contains(imaged.x, imaged.y, margin))
    x, y = imaged.x[rows], imaged.y[rows]
    ra, dec = to_radec(visit.plane.unproject(x, y))
    return Light(x, y, ra, dec, imaged.psfFlux[rows], imaged.scienceFlux[rows])
