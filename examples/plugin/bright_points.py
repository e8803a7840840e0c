"""A statistics plugin: how far an object rises above its noise, in each band.

Columns are named without their band: ``psfFluxSnrMax`` becomes
``u_psfFluxSnrMax`` to ``y_psfFluxSnrMax``.
"""

from typing import ClassVar, Final

import numpy as np

from stream_assoc.plugins import FloatArray, IntArray, LightCurves


class BrightPoints:
    """Greatest signal-to-noise ratio of psfFlux, and how many points reach 5."""

    name = "brightPoints"
    version = 1
    """Raise it whenever the fields below come to mean something else."""
    fields: ClassVar = {"n": 0.0, "largest": -np.inf}
    """What is kept of each object and band, and its value before the first point."""
    columns = ("psfFluxNumBright", "psfFluxSnrMax")
    needs_history = False
    """The fields are all it needs, so no light curve has to be kept for it."""

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        """Take in new points: of row ``i``, those from ``starts[i]`` to ``curves.offsets[i + 1]``."""
        row = np.repeat(np.arange(len(starts)), np.diff(curves.offsets))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = curves.psfFlux / curves.psfFluxErr
        counts = (np.arange(len(row)) >= starts[row]) & np.isfinite(ratio)
        fields[:, 0] += np.bincount(row[counts & (ratio >= 5.0)], minlength=len(starts))
        np.maximum.at(fields[:, 1], row[counts], ratio[counts])

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; NaN, which becomes null, where there is no point."""
        largest = fields[:, 1]
        return {
            "psfFluxNumBright": fields[:, 0].copy(),
            "psfFluxSnrMax": np.where(np.isinf(largest), np.nan, largest),
        }


PLUGIN: Final = BrightPoints()
