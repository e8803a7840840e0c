"""Where rows are: the partitions of dax_apdb's tables."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from lsst.sphgeom import (
    Angle,
    Circle,
    HealpixPixelization,
    HtmPixelization,
    LonLat,
    Mq3cPixelization,
    Pixelization,
    Q3cPixelization,
    UnitVector3d,
)

from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.stores.apdb.cassandra.compatibility import Layout

_PIXELIZATIONS: Final[dict[str, Any]] = {
    "healpix": HealpixPixelization,
    "htm": HtmPixelization,
    "mq3c": Mq3cPixelization,
    "q3c": Q3cPixelization,
}


Partition = tuple[int, int]
"""``apdb_part`` and ``apdb_time_part``."""


@dataclass(frozen=True, slots=True)
class Places:
    """How dax_apdb divides its tables: by pixels of the sky, and by spans of days.

    Attributes
    ----------
    pixelization : `str`
        Its name, such as ``mq3c``.
    level : `int`
        Its level.
    days : `int`
        Length of a time partition.
    time_partitions : `range` or `None`
        The time partitions that have tables of their own; `None` where all are in one table, by its partition key.
    """

    pixelization: str = "mq3c"
    level: int = 11
    days: int = 30
    time_partitions: range | None = None
    _pixels: Pixelization = field(init=False, repr=False, compare=False)

    @classmethod
    def of(cls, layout: Layout) -> "Places":
        """Return the divisions of an APDB."""
        return cls(
            layout.pixelization,
            layout.pixelization_level,
            layout.time_partition_days,
            layout.time_partitions,
        )

    @property
    def has_time_tables(self) -> bool:
        """Whether each time partition is a table of its own."""
        return self.time_partitions is not None

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pixels", _PIXELIZATIONS[self.pixelization](self.level))

    def pixels(self, ra: FloatArray, dec: FloatArray) -> IntArray:
        """Return ``apdb_part`` of positions, degrees."""
        index = self._pixels.index
        positions = zip(ra.tolist(), dec.tolist(), strict=True)
        found = (index(UnitVector3d(LonLat.fromDegrees(*position))) for position in positions)
        return np.fromiter(found, np.int64, len(ra))

    def pixels_of(self, tiles: IntArray, tile_level: int) -> IntArray:
        """Return every ``apdb_part`` that has a part of these HTM trixels in it, ascending."""
        triangle, envelope = HtmPixelization(tile_level).triangle, self._pixels.envelope
        ranges = {span for tile in tiles.tolist() for span in envelope(triangle(tile)).ranges()}
        return np.unique(np.concatenate([np.empty(0, np.int64), *(np.arange(*span) for span in ranges)]))

    def spans_around(self, ra: float, dec: float, radius_arcsec: float) -> list[tuple[int, int]]:
        """Return spans, ends exclusive, of every ``apdb_part`` that a circle round a position touches."""
        circle = Circle(UnitVector3d(LonLat.fromDegrees(ra, dec)), Angle.fromDegrees(radius_arcsec / 3600.0))
        spans: list[tuple[int, int]] = self._pixels.envelope(circle).ranges()
        return spans

    def time_parts(self, mjd_tai: FloatArray) -> IntArray:
        """Return ``apdb_time_part`` of times, MJD TAI, by dax_apdb's rule."""
        days: IntArray = (np.asarray(mjd_tai) - MJD_OF_UNIX_EPOCH).astype(np.int64)
        return days // self.days

    def has_table(self, time_part: int) -> bool:
        """Tell whether there is a table for a time partition: dax_apdb's administrator may have dropped it."""
        return self.time_partitions is None or time_part in self.time_partitions

    def by_time_part(self, partitions: Iterable[Partition]) -> dict[int, list[int]]:
        """Return the pixels of each time partition that has a table."""
        found: dict[int, list[int]] = {}
        for part, time_part in partitions:
            if self.has_table(time_part):
                found.setdefault(time_part, []).append(part)
        return found

    def table(self, name: str, time_part: int) -> str:
        """Return the table that has the rows of a time partition of DiaObject, DiaSource or DiaForcedSource."""
        return f"{name}_{time_part}" if self.has_time_tables else name


def partitions_of(parts: IntArray, time_parts: IntArray) -> list[Partition]:
    """Return each pair once, ascending."""
    return sorted(set(zip(parts.tolist(), time_parts.tolist(), strict=True)))
