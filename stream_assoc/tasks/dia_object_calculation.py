"""``DiaObjectCalculationTask``: summary statistics of DIAObjects, on data frames.

Counterpart of ``lsst.meas.base.diaCalculation`` (June 2026). The task runs
plugins over grouped DIASources. Upstream's own plugins are facades of
`stream_assoc.core.statistics` (`stream_assoc.tasks.plugins`), so the task gives
what the daemon gives; a plugin written for upstream runs here as it is.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from stream_assoc.core.model.types import BANDS, IntArray
from stream_assoc.core.statistics import registry as statistics
from stream_assoc.tasks.exceptions import CatalogError, MissingColumnError, TaskConfigError
from stream_assoc.tasks.frames import band_name, band_names, identifiers, with_plain_index
from stream_assoc.tasks.plugin import DiaObjectCalculationPlugin, DiaObjectCalculationPluginConfig
from stream_assoc.tasks.plugins import StatisticsPlugin

_SOURCE_INDEX: Final = ["diaObjectId", "band", "diaSourceId"]


@dataclass(slots=True)
class DiaObjectCalculationConfig:
    """Settings of `DiaObjectCalculationTask`.

    Like upstream's, a configuration may be changed until a task is made of it.

    Attributes
    ----------
    plugins : `~collections.abc.Sequence` [`str`]
        Names of plugins: upstream's (``ap_...``), those given to `register`,
        and those of `stream_assoc.core.statistics`, registered there or announced by
        an entry point of the group ``stream_assoc.core.statistics``.
    plugin_configs : `~collections.abc.Mapping` [`str`, `DiaObjectCalculationPluginConfig`]
        Settings of plugins that shall not have their defaults, by name.
    """

    plugins: Sequence[str] = ("ap_meanPosition", "ap_meanFlux")
    plugin_configs: Mapping[str, DiaObjectCalculationPluginConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DiaObjectCalculationResult:
    """What `DiaObjectCalculationTask.run` returns.

    Attributes
    ----------
    diaObjectCat : `pandas.DataFrame`
        All objects, updated or not, indexed by ``diaObjectId``.
    updatedDiaObjects : `pandas.DataFrame`
        The updated ones, in the order asked for.
    """

    diaObjectCat: pd.DataFrame
    updatedDiaObjects: pd.DataFrame


class DiaObjectCalculationTask:
    """Compute summary statistics of DIAObjects from all their DIASources.

    Parameters
    ----------
    config : `DiaObjectCalculationConfig`, optional

    Raises
    ------
    TaskConfigError
        If a plugin is unknown, needs a column that none before it makes, or
        makes one that another makes.
    """

    ConfigClass: ClassVar = DiaObjectCalculationConfig

    def __init__(self, config: DiaObjectCalculationConfig | None = None) -> None:
        self.config = config if config is not None else DiaObjectCalculationConfig()
        plugins = [self._make(name) for name in dict.fromkeys(self.config.plugins)]
        self.plugins = sorted(plugins, key=lambda plugin: plugin.getExecutionOrder())
        self.outputCols = _check_columns(self.plugins)

    def run(
        self,
        diaObjectCat: pd.DataFrame,
        diaSourceCat: pd.DataFrame,
        updatedDiaObjectIds: npt.ArrayLike,
        filterNames: Sequence[str],
    ) -> DiaObjectCalculationResult:
        """Recompute the statistics of some objects.

        Parameters
        ----------
        diaObjectCat : `pandas.DataFrame`
            Objects, with ``diaObjectId`` (int64) as column or index. Not changed.
        diaSourceCat : `pandas.DataFrame`
            All sources of the objects to update: ``diaObjectId``, ``band`` and
            ``diaSourceId`` as columns or index, and what the plugins read:
            ``ra``, ``dec`` in degrees, ``midpointMjdTai`` in MJD TAI,
            ``psfFlux``, ``psfFluxErr``, ``scienceFlux``, ``scienceFluxErr`` in
            nJy, ``flags``. Not changed.
        updatedDiaObjectIds : array-like [int64], shape (n,)
            Which objects to update.
        filterNames : `~collections.abc.Sequence` [`str`]
            The bands to compute fluxes in; sources of Rubin's other bands
            still count for positions and numbers of sources. Bands may be
            bytes, here and in the sources, as FITS tables give them.

        Returns
        -------
        result : `DiaObjectCalculationResult`
            A column that was there keeps its type where that holds the
            statistic: an integer or boolean column becomes float64 when a
            number with a fraction is written into it. A new one is float64,
            or int64 for numbers of sources, ``flags`` and ``pixelId``. New
            columns are NaN or 0 for objects that were not updated.

        Raises
        ------
        MissingColumnError
            If a column is missing.
        CatalogError
            If an identifier is no integer, an object is there twice, one to
            update is not there, or a source's band is neither one of Rubin's
            nor among ``filterNames``.
        TaskConfigError
            If a name in ``filterNames`` is no band of Rubin's, and all sources are of these.

        Notes
        -----
        Upstream changes its inputs and leaves a band that no object was seen
        in untouched; here inputs stay as they are and a statistic of no source
        is undefined. An exception of a plugin ends the run; upstream logs it
        and goes on with NaN.
        """
        objects = _indexed(diaObjectCat, ["diaObjectId"])
        if not objects.index.is_unique:
            raise CatalogError("diaObjectCat holds a diaObjectId twice; give one row an object")
        wanted = pd.unique(np.asarray(updatedDiaObjectIds))
        ids = identifiers(pd.DataFrame({"updatedDiaObjectIds": wanted}), "updatedDiaObjectIds")
        rows = objects.index.get_indexer(pd.Index(ids))
        if (rows < 0).any():
            missing = ", ".join(map(str, ids[rows < 0][:5]))
            raise CatalogError(
                f"updatedDiaObjectIds: {missing} are not in diaObjectCat; append new objects to it first"
            )
        bands = [str(band_name(name)) for name in filterNames]
        sources = _with_known_bands(_indexed(diaSourceCat, _SOURCE_INDEX), bands)
        of_updated = sources[sources.index.isin(ids, level="diaObjectId")]
        updated = self._calculate(objects.iloc[rows].copy(), of_updated, bands)
        return DiaObjectCalculationResult(_merged(objects, updated, rows), updated)

    def _calculate(self, objects: pd.DataFrame, sources: pd.DataFrame, bands: Sequence[str]) -> pd.DataFrame:
        for plugin in self.plugins:
            if not plugin.needsFilter:
                _run(plugin, objects, sources, None, None)
        for band in bands:
            in_band = sources[sources.index.get_level_values("band") == band]
            for plugin in self.plugins:
                if plugin.needsFilter:
                    _run(plugin, objects, sources, in_band, band)
            # A frame grown column by column is in pieces; the copy is not.
            objects = objects.copy()
        return objects

    def _make(self, name: str) -> DiaObjectCalculationPlugin:
        known = DiaObjectCalculationPlugin.registry
        if name not in known and name not in statistics.plugin_names():
            nearest = difflib.get_close_matches(name, [*known, *statistics.plugin_names()], n=1, cutoff=0.0)[0]
            raise TaskConfigError(f"plugins: there is no {name!r}; did you mean {nearest!r}?")
        plugin = known.get(name, StatisticsPlugin)
        settings = self.config.plugin_configs.get(name)
        if settings is not None and not isinstance(settings, plugin.ConfigClass):
            raise TaskConfigError(f"plugin_configs: {name} needs a {plugin.ConfigClass.__name__}, not {settings!r}")
        return plugin(settings, name)


def _check_columns(plugins: Sequence[DiaObjectCalculationPlugin]) -> list[str]:
    made: list[str] = []
    for plugin in plugins:
        absent = [name for name in plugin.inputCols if name not in made]
        if absent:
            raise TaskConfigError(
                f"plugins: {plugin.name} needs {', '.join(absent)}, which no plugin before it makes"
            )
        twice = [name for name in plugin.outputCols if name in made]
        if twice:
            raise TaskConfigError(f"plugins: {plugin.name} makes {', '.join(twice)}, as another does; choose one")
        made += plugin.outputCols
    return made


def _run(
    plugin: DiaObjectCalculationPlugin,
    objects: pd.DataFrame,
    sources: pd.DataFrame,
    in_band: pd.DataFrame | None,
    band: str | None,
) -> None:
    if plugin.plugType == "multi":
        by_band = None if in_band is None else in_band.groupby(level="diaObjectId")
        plugin.calculate(
            diaObjects=objects,
            diaSources=sources.groupby(level="diaObjectId"),
            filterDiaSources=by_band,
            band=band,
        )
        return
    for diaObjectId in objects.index:
        plugin.calculate(
            diaObjects=objects,
            diaObjectId=diaObjectId,
            diaSources=_of_object(sources, diaObjectId),
            filterDiaSources=None if in_band is None else _of_object(in_band, diaObjectId),
            band=band,
        )


def _of_object(sources: pd.DataFrame, diaObjectId: int) -> pd.DataFrame:
    return sources[sources.index.get_level_values("diaObjectId") == diaObjectId].droplevel("diaObjectId")


def _indexed(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return a copy indexed by these columns, which stay columns; identifiers become int64."""
    plain = with_plain_index(frame)
    for name in names:
        if name not in plain.columns:
            raise MissingColumnError(f"the catalogue has no column {name!r}, nor is it indexed by it")
    ids = {name: identifiers(plain, name) for name in names if name.endswith("Id")}
    return plain.assign(**ids).set_index(names, drop=False)


def _with_known_bands(sources: pd.DataFrame, filterNames: Sequence[str]) -> pd.DataFrame:
    """Return the sources with their bands as text; one that nobody asks for would count nowhere."""
    names = band_names(sources["band"])
    of_rubin = frozenset(BANDS)
    for name in dict.fromkeys(names):
        if name not in of_rubin and name not in filterNames:
            raise CatalogError(
                f"band holds {name!r} in {names.count(name)} rows, which is none of {', '.join(BANDS)} and not among "
                "filterNames; correct it, or name it there"
            )
    if of_rubin.issuperset(names):
        unknown = [name for name in filterNames if name not in of_rubin]
        if unknown and names:
            raise TaskConfigError(
                f"filterNames holds {', '.join(map(repr, unknown))}, which no source has; "
                f"bands are {', '.join(BANDS)}"
            )
    return sources.assign(band=np.array(names, dtype=object)).set_index(_SOURCE_INDEX, drop=False)


def _merged(objects: pd.DataFrame, updated: pd.DataFrame, rows: IntArray) -> pd.DataFrame:
    """Return all objects with the updated rows in their places, integers staying integers."""
    columns: dict[str, object] = {}
    for name in updated.columns:
        values = updated[name]
        if name in objects.columns:
            merged = objects[name].astype(values.dtype).array.copy()
            merged[rows] = values.array
            columns[name] = merged
        else:
            empty = 0 if values.dtype == np.int64 else None
            columns[name] = values.reindex(objects.index, fill_value=empty).array
    return pd.DataFrame(columns, index=objects.index)
