"""The detectors of the simulated camera."""

from dataclasses import dataclass

import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray
from stream_assoc.core.sky.vectors import to_radec
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.transform.tangent import TangentPlane

PIXELS_A_SIDE = 4_000
"""Pixels along a side of a detector."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A square of the focal plane, in tangent-plane radians about the camera's axis.

    Attributes
    ----------
    number : `int`
        From 0, row by row.
    x, y : `float`
        Lower left corner.
    size : `float`
        Side.
    """

    number: int
    x: float
    y: float
    size: float

    def footprint(self, plane: TangentPlane) -> FloatArray:
        """Return the corners on the sky, (ra, dec) in degrees, shape (4, 2).

        The projection is gnomonic, so the spherical polygon through them is
        the detector exactly.
        """
        x = self.x + self.size * np.array([0.0, 1.0, 1.0, 0.0])
        y = self.y + self.size * np.array([0.0, 0.0, 1.0, 1.0])
        return np.stack(to_radec(plane.unproject(x, y)), axis=1)

    def contains(self, x: FloatArray, y: FloatArray, margin: float = 0.0) -> BoolArray:
        """Tell which plane coordinates are on the detector, grown by ``margin`` radians."""
        return (
            (x >= self.x - margin)
            & (x <= self.x + self.size + margin)
            & (y >= self.y - margin)
            & (y <= self.y + self.size + margin)
        )

    def pixels(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return plane coordinates as pixels from the lower left corner."""
        return (x - self.x) / self.size * PIXELS_A_SIDE, (y - self.y) / self.size * PIXELS_A_SIDE


def focal_plane(config: SimulationConfig) -> tuple[Detector, ...]:
    """Return the detectors of the camera, centred on its axis."""
    side, pitch = config.detectors_a_side, np.radians(config.pitch_deg)
    size = np.radians(config.detector_size_deg)
    corner = -(pitch * (side - 1) + size) / 2.0
    places = [(number, *divmod(number, side)) for number in range(config.n_detectors)]
    return tuple(
        Detector(number, corner + column * pitch, corner + row * pitch, size) for number, row, column in places
    )
