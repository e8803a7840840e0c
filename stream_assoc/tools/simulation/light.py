"""What shines on a detector, detected or not: the truth of forced photometry."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.vectors import to_radec
from stream_assoc.tools.simulation.cadence import Visit
from stream_assoc.tools.simulation.detections import ImagedSky
from stream_assoc.tools.simulation.focal_plane import Detector

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
