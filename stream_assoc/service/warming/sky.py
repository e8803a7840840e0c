"""The sky that was announced lately, so that what a batch misses there can be told from what it misses elsewhere."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.pipeline.region import SkyPartition

KEPT_SECONDS: Final = 1800.0
"""Batches of a visit come within minutes of its announcement."""

MOST_KEPT: Final = 1_000_000
"""Tiles; half an hour of Rubin's visits has a fifth of that."""

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
        self._tiles, self._cells = _Lately(monotonic), _Lately(monotonic)

    def add(self, ra: float, dec: float) -> None:
        """Note a position that is announced now, degrees."""
        tiles = trixels_near([ra], [dec], self._radius_arcsec, self._partition.tile_level)
        self._tiles.add(tiles)
        self._cells.add(np.unique(self._partition.cells(tiles)))

    def has_tiles(self, tiles: IntArray) -> BoolArray:
        """Tell which of these tiles were announced."""
        return self._tiles.has(tiles)

    def has_cells(self, cells: IntArray) -> BoolArray:
        """Tell which of these cells were announced, at least in part."""
        return self._cells.has(cells)


class _Lately:
    """Numbers, and when each came last: another thousand costs the same, however many there are."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._times: dict[int, float] = {}

    def add(self, numbers: IntArray) -> None:
        now = self._monotonic()
        if len(self._times) > MOST_KEPT:
            kept = {number: time for number, time in self._times.items() if now - time < KEPT_SECONDS}
            # Of a flood only what comes from now on is known: who asks gets an answer soon, and no more than a count.
            self._times = kept if len(kept) < MOST_KEPT // 2 else {}
        self._times.update(dict.fromkeys(numbers.tolist(), now))

    def has(self, numbers: IntArray) -> BoolArray:
        times, oldest = self._times, self._monotonic() - KEPT_SECONDS
        return np.array([times.get(number, -np.inf) > oldest for number in numbers.tolist()], np.bool_)
