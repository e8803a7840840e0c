"""Which fields of a state are which plugin's, and what the whole of them means."""

import hashlib
from collections.abc import Collection, Sequence
from typing import TypeVar

import numpy as np

from stream_assoc.model.types import BANDS, FloatArray
from stream_assoc.statistics.exceptions import PluginError
from stream_assoc.statistics.plugin import BandPlugin, Plugin

PluginKind = TypeVar("PluginKind", bound=Plugin)


def places(plugins: Sequence[PluginKind]) -> list[tuple[PluginKind, slice]]:
    """Give each plugin its own columns among those of all."""
    given = []
    end = 0
    for plugin in plugins:
        start, end = end, end + len(plugin.fields)
        given.append((plugin, slice(start, end)))
    return given


def those_that_make(
    columns: Collection[str], band_places: Sequence[tuple[BandPlugin, slice]]
) -> list[tuple[BandPlugin, slice]]:
    """Return those plugins that compute any of these columns."""
    return [
        (plugin, place)
        for plugin, place in band_places
        if any(f"{BANDS[0]}_{name}" in columns for name in plugin.columns)
    ]


def initial_fields(plugins: Sequence[Plugin]) -> FloatArray:
    """Return the fields of all plugins before the first point."""
    return np.array([value for plugin in plugins for value in plugin.fields.values()], np.float64)


def field_names(plugins: Sequence[Plugin]) -> tuple[str, ...]:
    """Return the names of the fields of all plugins, as ``plugin.field``."""
    return tuple(f"{plugin.name}.{field}" for plugin in plugins for field in plugin.fields)


def digest(object_plugins: Sequence[Plugin], band_plugins: Sequence[Plugin], keeps_curves: bool) -> str:
    """Return a name for what states of these plugins mean: another for other plugins, versions or fields."""
    meaning = [
        [(plugin.name, plugin.version, list(plugin.fields)) for plugin in plugins]
        for plugins in (object_plugins, band_plugins)
    ]
    return hashlib.sha256(repr((meaning, keeps_curves)).encode()).hexdigest()[:12]


def check_columns(object_plugins: Sequence[Plugin], band_plugins: Sequence[Plugin]) -> None:
    """Check that no two plugins compute the same column.

    Raises
    ------
    PluginError
        Names the two.
    """
    makers: dict[str, str] = {}
    columns = [(name, plugin) for plugin in object_plugins for name in plugin.columns]
    columns += [(f"{BANDS[0]}_{name}", plugin) for plugin in band_plugins for name in plugin.columns]
    for name, plugin in columns:
        if name in makers:
            raise PluginError(f"the plugins {makers[name]!r} and {plugin.name!r} both compute {name}; choose one")
        makers[name] = plugin.name
