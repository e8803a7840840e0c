"""The plugins of upstream by their names, computed by `stream_assoc.core.statistics`.

Counterpart of ``lsst.meas.base.diaCalculationPlugins`` (June 2026). What each
computes, and what it makes of broken measurements, is said at the statistic it
names. Fluxes are nJy, angles degrees, times MJD TAI.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionDtype
from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype

from stream_assoc.core.model.positions import has_position
from stream_assoc.core.model.states import LightCurves, SourcePoints
from stream_assoc.core.model.types import BANDS, FloatArray, IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.statistics.light_curves import curves_of
from stream_assoc.core.statistics.plugin import BandPlugin, LightCurvePlugin
from stream_assoc.core.statistics.registry import find_plugin
from stream_assoc.tasks.exceptions import CatalogError
from stream_assoc.tasks.frames import band_indices, column_or_level, floats
from stream_assoc.tasks.plugin import DiaObjectCalculationPlugin, DiaObjectCalculationPluginConfig

_ALL_SOURCE_COLUMNS: Final = ("ra", "dec", *LightCurves.COLUMNS, "band", "flags")


class StatisticsPlugin(DiaObjectCalculationPlugin):
    """A plugin of `stream_assoc.core.statistics` as one of the task.

    Parameters
    ----------
    config, name, metadata
        See `DiaObjectCalculationPlugin`; ``name`` is looked up in
        `stream_assoc.core.statistics.registry` unless the class says which statistic it is.

    Attributes
    ----------
    statistic : `str`
        Name of the statistic; empty when it is that of the plugin.
    source_columns : `~collections.abc.Sequence` [`str`]
        DiaSource columns that are read; a catalogue without one of them is refused.
    integer_columns : `~collections.abc.Sequence` [`str`]
        Output columns that are whole numbers.

    Raises
    ------
    PluginError
        If there is no such statistic.
    """

    statistic: ClassVar[str] = ""
    source_columns: ClassVar[Sequence[str]] = _ALL_SOURCE_COLUMNS
    integer_columns: ClassVar[Sequence[str]] = ()

    def __init__(
        self, config: DiaObjectCalculationPluginConfig | None = None, name: str = "", metadata: object = None
    ) -> None:
        super().__init__(config, name or self.statistic, metadata)
        self._plugin = find_plugin(self.statistic or name)
        self.outputCols = self._plugin.columns
        self.needsFilter = isinstance(self._plugin, BandPlugin)

    def calculate(
        self,
        diaObjects: pd.DataFrame,
        diaSources: Any,  # noqa: ANN401 - pandas' group-by type is not generic at run time
        filterDiaSources: Any = None,  # noqa: ANN401
        band: str | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Write the statistic of each object; see `DiaObjectCalculationPlugin.calculate`.

        Raises
        ------
        MissingColumnError
            If a column it reads is missing.
        CatalogError
            If a band that it tells apart is not one of Rubin's.
        """
        groups = filterDiaSources if self.needsFilter else diaSources
        owners = diaObjects.index.get_indexer(groups.size().index)[groups.ngroup().to_numpy()]
        # By object, and within one in the order of the catalogue.
        order = np.argsort(owners, kind="stable")[np.count_nonzero(owners < 0) :]
        points = self._points(groups.obj).take(order)
        prefix = f"{band}_" if self.needsFilter else ""
        for name, values in self._values(points, owners[order], len(diaObjects)).items():
            whole = name in self.integer_columns
            write_column(diaObjects, prefix + name, values.astype(np.int64) if whole else values)

    def _values(self, points: SourcePoints, owners: IntArray, n_objects: int) -> dict[str, FloatArray]:
        offsets = np.searchsorted(owners, np.arange(n_objects + 1))
        fields = np.tile(np.array(list(self._plugin.fields.values()), np.float64), (n_objects, 1))
        if isinstance(self._plugin, BandPlugin):
            curves = LightCurves(offsets, *(getattr(points, name) for name in LightCurves.COLUMNS))
            self._plugin.fold(fields, curves, offsets[:-1].copy())
        elif isinstance(self._plugin, LightCurvePlugin):
            curves = curves_of(points, owners, n_objects)
            self._plugin.fold_light_curves(fields, curves, curves.offsets[:-1].copy())
        else:
            self._plugin.fold_sources(fields, points, offsets)
        return self._plugin.values(fields)

    def _points(self, sources: pd.DataFrame) -> SourcePoints:
        def column(name: str) -> FloatArray:
            return floats(sources, name) if name in self.source_columns else np.full(len(sources), np.nan)

        return SourcePoints(
            ra=column("ra"),
            dec=column("dec"),
            midpointMjdTai=column("midpointMjdTai"),
            psfFlux=column("psfFlux"),
            psfFluxErr=column("psfFluxErr"),
            scienceFlux=column("scienceFlux"),
            scienceFluxErr=column("scienceFluxErr"),
            band=_bands(sources) if "band" in self.source_columns else np.zeros(len(sources), np.int64),
            flag=np.nan_to_num(column("flags")) != 0.0,
        )


def write_column(objects: pd.DataFrame, name: str, values: npt.NDArray[np.generic]) -> None:
    """Write a column in place, in the type it has if it is there already and that holds every number written."""
    if name in objects.columns and _holds(objects[name].dtype, values):
        # A float32 column holds infinity where a number is too large for it.
        with np.errstate(over="ignore"):
            objects[name] = pd.Series(values, index=objects.index).astype(objects[name].dtype)
    else:
        objects[name] = values


def _holds(dtype: "np.dtype[Any] | ExtensionDtype", values: npt.NDArray[np.generic]) -> bool:
    if is_bool_dtype(dtype):
        return False
    if is_float_dtype(dtype):
        return True
    if not is_integer_dtype(dtype) or values.dtype.kind not in "iu":
        return False
    bounds = np.iinfo(str(dtype).lower())
    return len(values) == 0 or bool(bounds.min <= values.min() and values.max() <= bounds.max)


def _bands(sources: pd.DataFrame) -> IntArray:
    names = column_or_level(sources, "band")
    codes = band_indices(names)
    if (codes < 0).any():
        raise CatalogError(f"band holds {names.to_numpy()[codes < 0][0]!r}, which is none of {', '.join(BANDS)}")
    return codes


@dataclass(slots=True)
class HTMIndexDiaPositionConfig(DiaObjectCalculationPluginConfig):
    """Settings of `HTMIndexDiaPosition`.

    Attributes
    ----------
    htmLevel : `int`
        Subdivision level of the index.
    """

    htmLevel: int = 20


class HTMIndexDiaPosition(DiaObjectCalculationPlugin):
    """``ap_HTMIndex``: index of the mean position, ``pixelId``; 0 for an object without a position."""

    ConfigClass = HTMIndexDiaPositionConfig
    inputCols = ("ra", "dec")
    outputCols = ("pixelId",)
    needsFilter = False

    @classmethod
    def getExecutionOrder(cls) -> float:
        """Return an order after the mean position."""
        return cls.FLUX_MOMENTS_CALCULATED

    def calculate(self, diaObjects: pd.DataFrame, diaSources: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Write ``pixelId``; see `DiaObjectCalculationPlugin.calculate`."""
        ra, dec = floats(diaObjects, "ra"), floats(diaObjects, "dec")
        placed = has_position(ra, dec)
        index = np.zeros(len(diaObjects), np.int64)
        index[placed] = htm_index(ra[placed], dec[placed], cast("HTMIndexDiaPositionConfig", self.config).htmLevel)
        write_column(diaObjects, "pixelId", index)


class MeanDiaPosition(StatisticsPlugin):
    """Mean position: ``ra``, ``dec``; `~stream_assoc.core.statistics.whole_object.MeanPosition`."""

    statistic = "ap_meanPosition"
    source_columns = ("ra", "dec")


class NumDiaSourcesDiaPlugin(StatisticsPlugin):
    """Number of all sources: ``nDiaSources``; `~stream_assoc.core.statistics.whole_object.DiaSourceCount`."""

    statistic = "ap_nDiaSources"
    source_columns = ()
    integer_columns = ("nDiaSources",)


class SimpleSourceFlagDiaPlugin(StatisticsPlugin):
    """Whether any source is flagged: ``flags``; `~stream_assoc.core.statistics.whole_object.DiaObjectFlag`."""

    statistic = "ap_diaObjectFlag"
    source_columns = ("flags",)
    integer_columns = ("flags",)


class WeightedMeanDiaPsFlux(StatisticsPlugin):
    """Weighted mean, its error, number of points; `~stream_assoc.core.statistics.averages.MeanFlux`."""

    statistic = "ap_meanFlux"
    source_columns = ("psfFlux", "psfFluxErr")
    integer_columns = ("psfFluxNdata",)


class PercentileDiaPsFlux(StatisticsPlugin):
    """Percentiles 5, 25, 50, 75, 95; `~stream_assoc.core.statistics.order_statistics.PercentileFlux`."""

    statistic = "ap_percentileFlux"
    source_columns = ("psfFlux",)


class SigmaDiaPsFlux(StatisticsPlugin):
    """Standard deviation; `~stream_assoc.core.statistics.moments.SigmaFlux`."""

    statistic = "ap_sigmaFlux"
    source_columns = ("psfFlux",)


class Chi2DiaPsFlux(StatisticsPlugin):
    """Chi-squared about the weighted mean; `~stream_assoc.core.statistics.averages.Chi2Flux`."""

    statistic = "ap_chi2Flux"
    source_columns = ("psfFlux", "psfFluxErr")


class MadDiaPsFlux(StatisticsPlugin):
    """Median absolute deviation; `~stream_assoc.core.statistics.order_statistics.MadFlux`."""

    statistic = "ap_madFlux"
    source_columns = ("psfFlux",)


class SkewDiaPsFlux(StatisticsPlugin):
    """Bias-corrected skewness; `~stream_assoc.core.statistics.moments.SkewFlux`."""

    statistic = "ap_skewFlux"
    source_columns = ("psfFlux",)


class MinMaxDiaPsFlux(StatisticsPlugin):
    """Smallest and largest flux; `~stream_assoc.core.statistics.order_statistics.MinMaxFlux`."""

    statistic = "ap_minMaxFlux"
    source_columns = ("psfFlux",)


class MaxSlopeDiaPsFlux(StatisticsPlugin):
    """Steepest rise, nJy per day; `~stream_assoc.core.statistics.trends.MaxSlopeFlux`."""

    statistic = "ap_maxSlopeFlux"
    source_columns = ("midpointMjdTai", "psfFlux")


class ErrMeanDiaPsFlux(StatisticsPlugin):
    """Mean of the flux errors; `~stream_assoc.core.statistics.averages.MeanErrFlux`."""

    statistic = "ap_meanErrFlux"
    source_columns = ("psfFluxErr",)


class LinearFitDiaPsFlux(StatisticsPlugin):
    """Weighted straight line; `~stream_assoc.core.statistics.trends.LinearFit`."""

    statistic = "ap_linearFit"
    source_columns = ("midpointMjdTai", "psfFlux", "psfFluxErr")


class StetsonJDiaPsFlux(StatisticsPlugin):
    """Stetson's J; `~stream_assoc.core.statistics.stetson.StetsonJ`."""

    statistic = "ap_stetsonJ"
    source_columns = ("psfFlux", "psfFluxErr")


class WeightedMeanDiaTotFlux(StatisticsPlugin):
    """Weighted mean of the science flux; `~stream_assoc.core.statistics.averages.MeanTotFlux`."""

    statistic = "ap_meanTotFlux"
    source_columns = ("scienceFlux", "scienceFluxErr")


class SigmaDiaTotFlux(StatisticsPlugin):
    """Standard deviation of the science flux; `~stream_assoc.core.statistics.moments.SigmaFlux`."""

    statistic = "ap_sigmaTotFlux"
    source_columns = ("scienceFlux",)


class LombScarglePeriodogram(StatisticsPlugin):
    """Best period in one band; `~stream_assoc.core.statistics.periodograms.Periodogram`."""

    statistic = "ap_lombScarglePeriodogram"
    source_columns = ("midpointMjdTai", "psfFlux", "psfFluxErr")


class LombScarglePeriodogramMulti(StatisticsPlugin):
    """Best period over all bands; `~stream_assoc.core.statistics.periodograms.MultibandPeriodogram`."""

    statistic = "ap_lombScarglePeriodogramMulti"
    source_columns = ("band", "midpointMjdTai", "psfFlux", "psfFluxErr")


# Upstream's names since the fluxes were renamed from psFlux to psfFlux.
WeightedMeanDiaPsfFlux = WeightedMeanDiaPsFlux
PercentileDiaPsfFlux = PercentileDiaPsFlux
SigmaDiaPsfFlux = SigmaDiaPsFlux
Chi2DiaPsfFlux = Chi2DiaPsFlux
MadDiaPsfFlux = MadDiaPsFlux
SkewDiaPsfFlux = SkewDiaPsFlux
MinMaxDiaPsfFlux = MinMaxDiaPsFlux
MaxSlopeDiaPsfFlux = MaxSlopeDiaPsFlux
ErrMeanDiaPsfFlux = ErrMeanDiaPsFlux
LinearFitDiaPsfFlux = LinearFitDiaPsFlux
StetsonJDiaPsfFlux = StetsonJDiaPsFlux

DiaObjectCalculationPlugin.registry["ap_HTMIndex"] = HTMIndexDiaPosition
# The classes above; those that another package derives come later, and register themselves.
DiaObjectCalculationPlugin.registry |= {plugin.statistic: plugin for plugin in StatisticsPlugin.__subclasses__()}
