"""Which statistics there are, by name.

A built-in statistic is a class in this package and an entry in `_ON_REQUEST`,
or in another of the tuples below. Other packages add theirs in one of two ways: they call
`register` in the process, or they announce the plugin with an entry point of
the group ``stream_assoc.statistics`` whose name is the plugin's name and whose
object is the plugin. An entry point is imported only when it is asked for.
"""

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from stream_assoc.core.exceptions import PluginError
from stream_assoc.core.statistics.averages import Chi2Flux, MeanErrFlux, MeanFlux, MeanForcedFlux, MeanTotFlux
from stream_assoc.core.statistics.moments import SigmaFlux, SkewFlux
from stream_assoc.core.statistics.order_statistics import MadFlux, MinMaxFlux, PercentileFlux
from stream_assoc.core.statistics.periodograms import MultibandPeriodogram, Periodogram
from stream_assoc.core.statistics.plugin import AnyPlugin
from stream_assoc.core.statistics.stetson import StetsonJ
from stream_assoc.core.statistics.trends import LinearFit, MaxSlopeFlux
from stream_assoc.core.statistics.whole_object import (
    DiaObjectFlag,
    DiaSourceCount,
    DiaSourceTimes,
    HtmIndex,
    MeanPosition,
)

ENTRY_POINT_GROUP: Final = "stream_assoc.statistics"

_PRODUCTION: Final[tuple[AnyPlugin, ...]] = (
    MeanPosition(),
    DiaSourceCount(),
    MeanFlux(),
    SigmaFlux("ap_sigmaFlux", "psfFlux"),
    MinMaxFlux(),
    MaxSlopeFlux(),
    MeanErrFlux(),
    MeanTotFlux(),
)
_ON_REQUEST: Final[tuple[AnyPlugin, ...]] = (
    HtmIndex(),
    DiaObjectFlag(),
    PercentileFlux(),
    Chi2Flux(),
    MadFlux(),
    SkewFlux(),
    LinearFit(),
    StetsonJ(),
    SigmaFlux("ap_sigmaTotFlux", "scienceFlux"),
)
"""A new built-in statistic is added to this tuple, and nowhere else in this file."""
_EXPENSIVE: Final[tuple[AnyPlugin, ...]] = (Periodogram(), MultibandPeriodogram())
_BY_PIPELINE: Final[tuple[AnyPlugin, ...]] = (DiaSourceTimes(), MeanForcedFlux())


def _names(plugins: Iterable[AnyPlugin]) -> tuple[str, ...]:
    return tuple(plugin.name for plugin in plugins)


CORE_PLUGINS: Final = ("ap_meanPosition", "ap_nDiaSources", "firstLastDiaSource")
"""What the APDB cannot do without; always computed."""

PRODUCTION_PLUGINS: Final = _names(_PRODUCTION)
"""What ``lsst.ap.association`` computes by default."""

ALL_PLUGINS: Final = _names((*_PRODUCTION, *_ON_REQUEST))
"""Every plugin of ``lsst.meas.base.diaCalculationPlugins`` but the two periodograms."""

OPTIONAL_PLUGINS: Final = _names(_EXPENSIVE)
"""The two periodograms: thousands of times as expensive as the others."""

FORCED_PLUGIN: Final = "forcedMeanFlux"
"""Computed in addition where forced photometry is on."""

_registered: Final[dict[str, AnyPlugin]] = {
    plugin.name: plugin for plugin in (*_PRODUCTION, *_ON_REQUEST, *_EXPENSIVE, *_BY_PIPELINE)
}


def register(plugin: AnyPlugin) -> None:
    """Make a plugin known in this process.

    Parameters
    ----------
    plugin : `BandPlugin`, `ObjectPlugin` or `LightCurvePlugin`

    Raises
    ------
    PluginError
        If its name is taken by another plugin, or it is no plugin.
    """
    if not isinstance(plugin, AnyPlugin):
        raise PluginError(f"{plugin!r} is no statistics plugin: it has none of the methods that plugin.py asks for")
    if _registered.get(plugin.name, plugin) is not plugin or plugin.name in _announced():
        raise PluginError(f"the statistics plugin name {plugin.name!r} is taken; give yours another `name`")
    _registered[plugin.name] = plugin


def plugin_names() -> tuple[str, ...]:
    """Return the names of all plugins that can be asked for, sorted."""
    return tuple(sorted({*_registered, *_announced()}))


def find_plugin(name: str) -> AnyPlugin:
    """Return the plugin of that name.

    Raises
    ------
    PluginError
        If there is none, or its package announces something else under that name.
    """
    if name in _registered:
        return _registered[name]
    announced = _announced()
    if name not in announced:
        nearest = difflib.get_close_matches(name, plugin_names(), n=1, cutoff=0.0)[0]
        raise PluginError(f"there is no statistics plugin {name!r}; did you mean {nearest!r}?")
    try:
        plugin = announced[name].load()
    except (ImportError, AttributeError) as error:
        raise PluginError(f"the statistics plugin {name!r} ({announced[name].value}) cannot be imported") from error
    if not isinstance(plugin, AnyPlugin) or plugin.name != name:
        raise PluginError(f"the entry point {name!r} ({announced[name].value}) is no statistics plugin of that name")
    return plugin


def _announced() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
