"""Tiles of a micro-batch in memory, the newest content of each."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.cache import CachedTiles


class Origin(IntEnum):
    """Where the content of a tile comes from."""

    CHANGED = 0
    """A batch: current whatever version is asked for."""
    REBUILT = 1
    """The APDB: current at its version, and to be written."""
    READ = 2
    """The cache beneath: current at its version."""


_ROW: Final = np.dtype(
    [("tile", np.int64), ("origin", np.int8), ("version", np.int64), ("piece", np.int64), ("slot", np.int64)]
)
"""A tile, where its content comes from, its version, the piece it is in, and its place there."""


class StagedTiles:
    """Tiles as the pieces they came in, each tile once.

    There are thousands of tiles and a few pieces, so a tile is a row of an
    array and no object of its own.
    """

    def __init__(self) -> None:
        self._pieces: list[TiledObjects] = []
        # Ascending by tile.
        self._rows = np.empty(0, _ROW)

    def keep_changed(self, objects: TiledObjects) -> None:
        """Keep what a batch made of these tiles; the commit gives them their versions."""
        self._keep(Origin.CHANGED, CachedTiles(objects, np.zeros(len(objects.tiles), np.int64)))

    def keep(self, origin: Origin, tiles: CachedTiles) -> None:
        """Keep these tiles with their versions, but for those that are changed: these are newer."""
        changed = self._rows["tile"][self._rows["origin"] == Origin.CHANGED]
        self._keep(origin, tiles.take(np.flatnonzero(~np.isin(tiles.objects.tiles, changed, assume_unique=True))))

    def find(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """Return those of these tiles, which ascend, that are kept and current."""
        is_kept = np.isin(tiles, self._rows["tile"], assume_unique=True)
        rows = self._rows[np.searchsorted(self._rows["tile"], tiles[is_kept])]
        is_current = (rows["origin"] == Origin.CHANGED) | (rows["version"] == versions[is_kept])
        return self._gathered(rows[is_current])

    def to_write(self, versions: Mapping[int, int]) -> CachedTiles:
        """Return what was changed or rebuilt, as it is after a commit.

        Parameters
        ----------
        versions : `~collections.abc.Mapping` [`int`, `int`]
            Which the commit gave the tiles it changed. Those rebuilt before are
            older, and those changed without one are not in the APDB: both stay out.
        """
        is_committed = np.isin(self._rows["tile"], np.array(list(versions), np.int64))
        rows = self._rows[self._rows["origin"] == np.where(is_committed, Origin.CHANGED, Origin.REBUILT)]
        numbers = zip(rows["tile"].tolist(), rows["version"].tolist(), strict=True)
        current = np.array([versions.get(tile, own) for tile, own in numbers], np.int64)
        return CachedTiles(self._gathered(rows), current)

    def _keep(self, origin: Origin, tiles: CachedTiles) -> None:
        new = np.empty(len(tiles), _ROW)
        new["tile"], new["origin"], new["version"] = tiles.objects.tiles, origin, tiles.versions
        new["piece"], new["slot"] = len(self._pieces), np.arange(len(tiles))
        staying = self._rows[~np.isin(self._rows["tile"], new["tile"], assume_unique=True)]
        together = np.concatenate([staying, new])
        self._rows = together[np.argsort(together["tile"])]
        self._pieces.append(tiles.objects)
        self._let_go()

    def _let_go(self) -> None:
        """Keep no piece of which every tile has a newer content."""
        n_wanted = np.bincount(self._rows["piece"], minlength=len(self._pieces))
        for index in np.flatnonzero(n_wanted == 0).tolist():
            self._pieces[index] = TiledObjects.empty()

    def _gathered(self, rows: npt.NDArray[np.void]) -> TiledObjects:
        """Return the tiles of these rows, which ascend."""
        return TiledObjects.merged(
            [
                self._pieces[index].take_tiles(rows["slot"][rows["piece"] == index])
                for index in np.unique(rows["piece"]).tolist()
            ]
        )
