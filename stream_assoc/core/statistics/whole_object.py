"""Statistics over all bands: position, number of sources, first and last, flag."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from stream_assoc.core.model.states import SourcePoints
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.core.statistics.plugin import kernel


@kernel
def _fold_position(fields: FloatArray, offsets: IntArray, vectors: FloatArray) -> None:
    for row in range(len(fields)):
        for point in range(offsets[row], offsets[row + 1]):
            x, y, z = vectors[point]
            if math.isfinite(x + y + z):
                fields[row, 0] += x
                fields[row, 1] += y
                fields[row, 2] += z


@kernel
def _fold_times(fields: FloatArray, offsets: IntArray, time: FloatArray) -> None:
    for row in range(len(fields)):
        for point in range(offsets[row], offsets[row + 1]):
            # Negated, so that the first time replaces the initial NaN.
            if math.isfinite(time[point]):
                if not fields[row, 0] <= time[point]:
                    fields[row, 0] = time[point]
                if not fields[row, 1] >= time[point]:
                    fields[row, 1] = time[point]


@kernel
def _fold_flag(fields: FloatArray, offsets: IntArray, flag: BoolArray) -> None:
    for row in range(len(fields)):
        for point in range(offsets[row], offsets[row + 1]):
            if flag[point]:
                fields[row, 0] = 1.0


@dataclass(frozen=True, slots=True)
class MeanPosition:
    """``ap_meanPosition``: direction of the mean of the sources' unit vectors, degrees.

    Holds at the poles and across RA 0; ``ra`` is in [0, 360). A source without
    a position on the sphere is left out; NaN without any other.
    """

    name: ClassVar[str] = "ap_meanPosition"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"x": 0.0, "y": 0.0, "z": 0.0}
    columns: ClassVar[tuple[str, ...]] = ("ra", "dec")

    def fold_sources(self, fields: FloatArray, points: SourcePoints, offsets: IntArray) -> None:
        """Fold new sources; see `ObjectPlugin.fold_sources`."""
        vectors = unit_vectors(points.ra, points.dec)
        vectors[np.abs(points.dec) > 90.0] = np.nan
        _fold_position(fields, offsets, vectors)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        ra, dec = to_radec(fields)
        nowhere = ~np.any(fields, axis=1)
        ra[nowhere] = np.nan
        dec[nowhere] = np.nan
        return {"ra": ra, "dec": dec}


@dataclass(frozen=True, slots=True)
class DiaSourceCount:
    """``ap_nDiaSources``: the number of all sources, with or without a usable flux."""

    name: ClassVar[str] = "ap_nDiaSources"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"count": 0.0}
    columns: ClassVar[tuple[str, ...]] = ("nDiaSources",)

    def fold_sources(self, fields: FloatArray, points: SourcePoints, offsets: IntArray) -> None:
        """Fold new sources; see `ObjectPlugin.fold_sources`."""
        fields[:, 0] += np.diff(offsets)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"nDiaSources": fields[:, 0]}


@dataclass(frozen=True, slots=True)
class DiaSourceTimes:
    """``firstLastDiaSource``: times of the earliest and the latest source, MJD TAI.

    Upstream's pipeline sets these columns outside its plugins.
    """

    name: ClassVar[str] = "firstLastDiaSource"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"first": math.nan, "last": math.nan}
    columns: ClassVar[tuple[str, ...]] = ("firstDiaSourceMjdTai", "lastDiaSourceMjdTai")

    def fold_sources(self, fields: FloatArray, points: SourcePoints, offsets: IntArray) -> None:
        """Fold new sources; see `ObjectPlugin.fold_sources`."""
        _fold_times(fields, offsets, points.midpointMjdTai)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {name: fields[:, index] for index, name in enumerate(self.columns)}


@dataclass(frozen=True, slots=True)
class DiaObjectFlag:
    """``ap_diaObjectFlag``: 1 when any source of the object is flagged, else 0."""

    name: ClassVar[str] = "ap_diaObjectFlag"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {"flagged": 0.0}
    columns: ClassVar[tuple[str, ...]] = ("flags",)

    def fold_sources(self, fields: FloatArray, points: SourcePoints, offsets: IntArray) -> None:
        """Fold new sources; see `ObjectPlugin.fold_sources`."""
        _fold_flag(fields, offsets, points.flag)

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return the columns; see `Plugin.values`."""
        return {"flags": fields[:, 0]}


@dataclass(frozen=True, slots=True)
class HtmIndex:
    """``ap_HTMIndex``: accepted for parity; every DiaObject row carries its ``pixelId`` anyway."""

    name: ClassVar[str] = "ap_HTMIndex"
    version: ClassVar[int] = 1
    fields: ClassVar[Mapping[str, float]] = {}
    columns: ClassVar[tuple[str, ...]] = ()

    def fold_sources(self, fields: FloatArray, points: SourcePoints, offsets: IntArray) -> None:
        """Keep nothing: the index is a function of the mean position."""

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        """Return no column."""
        return {}
