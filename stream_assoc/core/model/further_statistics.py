"""Statistics of DIAObjects that the APDB schema has no column for.

They are what plugins of ``lsst.meas.base.diaCalculationPlugins`` compute and
Rubin's tables leave out. Names are upstream's. They are kept in a table keyed
like DiaObject, and published with the object.
"""

import functools
from typing import Final

from stream_assoc.core.model.schema import Column
from stream_assoc.core.model.types import BANDS

TABLE: Final = "StreamAssocDiaObject"
"""The table beside DiaObject, with the same primary key and these columns; not one of ``apdb.yaml``."""

_OF_A_BAND: Final = (
    *(
        (f"psfFluxPercentile{percent:02}", "nJy", f"Percentile {percent} of {{band}} psfFlux, linearly interpolated.")
        for percent in (5, 25, 50, 75, 95)
    ),
    ("psfFluxChi2", "", "Chi-squared of {band} psfFlux about its weighted mean."),
    ("psfFluxMAD", "nJy", "Median absolute deviation of {band} psfFlux from its median, unscaled."),
    ("psfFluxSkew", "", "Bias-corrected skewness of {band} psfFlux."),
    ("psfFluxLinearSlope", "nJy/d", "Slope of the weighted straight line through {band} psfFlux."),
    ("psfFluxLinearIntercept", "nJy", "Value at MJD 0 of the weighted straight line through {band} psfFlux."),
    ("psfFluxStetsonJ", "", "Stetson's J of {band} psfFlux."),
    ("scienceFluxSigma", "nJy", "Standard deviation of {band} scienceFlux."),
    ("period", "d", "Period of the highest peak of the Lomb-Scargle periodogram of {band} psfFlux."),
    ("power", "", "Power of that peak, in [0, 1]."),
    ("multiAmp", "nJy", "Amplitude in {band} at the period common to all bands."),
    ("multiPhase", "rad", "Phase in {band} at the period common to all bands."),
)
_OF_ALL_BANDS: Final = (
    ("flags", "", "1 if a source of the object has one of the flags that statistics.flag_columns names, else 0."),
    ("multiPeriod", "d", "Period common to all bands: the highest peak of the multi-band periodogram."),
    ("multiPower", "", "Power of that peak, in [0, 1]."),
    ("multiFap", "", "Probability that noise alone has so high a peak."),
)


@functools.cache
def further_statistics() -> tuple[Column, ...]:
    """Return the columns, float64: those of all bands together, then those of each band."""
    of_bands = [(f"{band}_{name}", unit, text.format(band=band)) for band in BANDS for name, unit, text in _OF_A_BAND]
    return tuple(
        Column(name, "double", nullable=True, unit=unit, description=text)
        for name, unit, text in (*_OF_ALL_BANDS, *of_bands)
    )
