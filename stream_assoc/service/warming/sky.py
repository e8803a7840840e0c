"""The sky that was announced lately, so that what a batch misses there can be told from what it misses elsewhere."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.pipeline.region import SkyPartition

_KEPT_SECONDS: Final = 1800.0
"""Batches of a visit come within minutes of its announcement."""

_ARCSEC_PER_DEGREE: Final = 3600.0


class AnnouncedSky:
    """The circles around announced positions, for half an hour each.

    One thread adds to it and others ask.

    Parameters
    ----------
    radius_deg : `float`
    partition : `SkyPartition`
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(
        self, radius_deg: float, partition: SkyPartition, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._radius_arcsec = radius_deg * _ARCSEC_PER_DEGREE
        self._partition = partition
        self._monotonic = monotonic
        self._circles: dict[tuple[float, float], tuple[float, IntArray]] = {}
        self._tiles = self._cells = np.empty(0, np.int64)

    def add(self, ra: float, dec: float) -> None:
        """Note a position that is announced now, degrees."""
        tiles = trixels_near([ra], [dec], self._radius_arcsec, self._partition.tile_level)
        now = self._monotonic()
        is_known = (ra, dec) in self._circles
        self._circles[ra, dec] = (now, tiles)
        kept = {place: one for place, one in self._circles.items() if now - one[0] < _KEPT_SECONDS}
        if is_known and len(kept) == len(self._circles):
            return
        self._circles = kept
        self._tiles = np.unique(np.concatenate([one for _, one in kept.values()]))
        self._cells = np.unique(self._partition.cells(self._tiles))

    def has_tiles(self, tiles: IntArray) -> BoolArray:
        """Tell which of these tiles were announced."""
        return np.isin(tiles, self._tiles)

    def has_cells(self, cells: IntArray) -> BoolArray:
        """Tell which of these cells were announced, at least in part."""
        return np.isin(cells, self._cells)
