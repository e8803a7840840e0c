"""Which fields of a state are which plugin's, and what the whole of them means."""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

from stream_assoc.core.exceptions import PluginError
from stream_assoc.core.model.arrays import read_only
from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BANDS, FloatArray
from stream_assoc.core.statistics.plugin import Plugin, kernel

PluginKind = TypeVar("PluginKind", bound=Plugin)

_COLUMN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
"""PostgreSQL cuts a longer name."""

_KEY: Final = ("diaObjectId", "validityStartMjdTai", "validityEndMjdTai", "raErr", "decErr", "ra_dec_Cov")
"""What a version of an object has from elsewhere."""

_STORED: Final = (*apdb_table("DiaObject").names, *(column.name for column in further_statistics()))


def places(plugins: Sequence[PluginKind]) -> list[tuple[PluginKind, slice]]:
    """Give each plugin its own columns among those of all."""
    given = []
    end = 0
    for plugin in plugins:
        start, end = end, end + len(plugin.fields)
        given.append((plugin, slice(start, end)))
    return given


def by_field(band_fields: FloatArray) -> FloatArray:
    """Return the fields of every band so that the values of one lie side by side, those of a band together.

    Columns are computed field by field, and in a state each value of a field
    is in a cache line of its own.

    Parameters
    ----------
    band_fields : `numpy.ndarray` [float64], shape (n, n_bands, k)

    Returns
    -------
    fields : `numpy.ndarray` [float64], shape (n_bands * n, k)
        All objects in the first band, then in the next; in Fortran's order.
    """
    n, n_bands, n_fields = band_fields.shape
    return _fields_first(read_only(band_fields)).reshape(n_fields, n_bands * n).T


_SIDE_BY_SIDE: Final = 8
"""As many values as a cache line holds."""


@kernel
def _fields_first(band_fields: FloatArray) -> FloatArray:
    n, n_bands, n_fields = band_fields.shape
    turned = np.empty((n_fields, n_bands, n))
    for first in range(0, n, _SIDE_BY_SIDE):
        end = min(first + _SIDE_BY_SIDE, n)
        for band in range(n_bands):
            for field in range(n_fields):
                for row in range(first, end):
                    turned[field, band, row] = band_fields[row, band, field]
    return turned


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


def column_names(object_plugins: Sequence[Plugin], band_plugins: Sequence[Plugin]) -> tuple[str, ...]:
    """Return every column that these plugins compute: those of the object, then those of each band."""
    of_bands = (f"{band}_{name}" for band in BANDS for plugin in band_plugins for name in plugin.columns)
    return (*(name for plugin in object_plugins for name in plugin.columns), *of_bands)


def values_of(plugin: Plugin, fields: FloatArray) -> dict[str, FloatArray]:
    """Return a plugin's columns.

    Raises
    ------
    PluginError
        If it returns others than it announces, or not one value a row.
    """
    values = plugin.values(fields)
    if values.keys() != set(plugin.columns) or any(array.shape != (len(fields),) for array in values.values()):
        shapes = ", ".join(f"{name}{array.shape}" for name, array in values.items())
        raise PluginError(
            f"the plugin {plugin.name!r} returned {shapes} for {len(fields)} rows; it announces the columns "
            f"{', '.join(plugin.columns)}, one value a row each"
        )
    return values


def check_columns(object_plugins: Sequence[Plugin], band_plugins: Sequence[Plugin]) -> None:
    """Check that every column can be one of a database, and that no two plugins compute the same.

    Databases may not tell upper from lower case, so names that differ in
    nothing else are the same.

    Raises
    ------
    PluginError
        Names the plugins.
    """
    stored = {name.lower(): name for name in (*_KEY, *_STORED)}
    makers: dict[str, str] = {}
    columns = [(name, plugin) for plugin in object_plugins for name in plugin.columns]
    columns += [(f"{BANDS[0]}_{name}", plugin) for plugin in band_plugins for name in plugin.columns]
    for name, plugin in columns:
        key = name.lower()
        if not _COLUMN_NAME.fullmatch(name):
            raise PluginError(
                f"the plugin {plugin.name!r} computes {name!r}, which is no name of a column: at most 63 letters, "
                "digits and underscores, the first a letter"
            )
        if name in _KEY or stored.get(key, name) != name:
            raise PluginError(
                f"the plugin {plugin.name!r} computes {name}, but the APDB has {stored[key]}; give the column "
                "another name"
            )
        if key in makers:
            raise PluginError(f"the plugins {makers[key]!r} and {plugin.name!r} both compute {name}; choose one")
        makers[key] = plugin.name
