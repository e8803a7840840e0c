"""Tiles of a micro-batch in memory, the newest content of each."""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np

from stream_assoc.cache.port import CachedTiles
from stream_assoc.model.objects import TiledObjects
from stream_assoc.model.types import IntArray


class Origin(IntEnum):
    """Where the content of a tile comes from."""

    CHANGED = 0
    """A batch: current whatever version is asked for."""
    REBUILT = 1
    """The APDB: current at its version, and to be written."""
    READ = 2
    """The cache beneath: current at its version."""


class StagedTiles:
    """Tiles as the pieces they came in, each tile once.

    There are thousands of tiles and a few pieces, so a tile is a row of
    arrays and no object of its own.
    """

    def __init__(self) -> None:
        self._pieces: list[TiledObjects] = []
        nothing = np.empty(0, np.int64)
        # Ascending tiles, and of each its origin, its version, its piece and its place there.
        self._tiles = nothing
        self._origins, self._versions, self._piece, self._slot = nothing, nothing, nothing, nothing

    def keep_changed(self, objects: TiledObjects) -> None:
        """Keep what a batch made of these tiles; the commit gives them their versions."""
        self._keep(Origin.CHANGED, CachedTiles(objects, np.zeros(len(objects.tiles), np.int64)))

    def keep(self, origin: Origin, tiles: CachedTiles) -> None:
        """Keep these tiles with their versions, but for those that are changed: these are newer."""
        changed = self._tiles[self._origins == Origin.CHANGED]
        self._keep(origin, tiles.take(np.flatnonzero(~np.isin(tiles.objects.tiles, changed, assume_unique=True))))

    def find(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """Return those of these tiles, which ascend, that are kept and current."""
        rows = np.searchsorted(self._tiles, tiles)
        is_kept = np.isin(tiles, self._tiles, assume_unique=True)
        rows, versions = rows[is_kept], versions[is_kept]
        return self._gathered(rows[(self._origins[rows] == Origin.CHANGED) | (self._versions[rows] == versions)])

    def to_write(self, versions: Mapping[int, int]) -> CachedTiles:
        """Return what was changed or rebuilt, as it is after a commit.

        Parameters
        ----------
        versions : `~collections.abc.Mapping` [`int`, `int`]
            Which the commit gave the tiles it changed. Those rebuilt before are
            older, and those changed without one are not in the APDB: both stay out.
        """
        is_committed = np.isin(self._tiles, np.array(list(versions), np.int64))
        rows = np.flatnonzero(self._origins == np.where(is_committed, Origin.CHANGED, Origin.REBUILT))
        objects = self._gathered(rows)
        numbers = zip(objects.tiles.tolist(), self._versions[rows].tolist(), strict=True)
        return CachedTiles(objects, np.array([versions.get(tile, own) for tile, own in numbers], np.int64))

    def _keep(self, origin: Origin, tiles: CachedTiles) -> None:
        n, objects = len(tiles), tiles.objects
        stay = ~np.isin(self._tiles, objects.tiles, assume_unique=True)
        together = np.concatenate([self._tiles[stay], objects.tiles])
        order = np.argsort(together)
        self._tiles = together[order]
        self._origins = np.concatenate([self._origins[stay], np.full(n, origin)])[order]
        self._versions = np.concatenate([self._versions[stay], tiles.versions])[order]
        self._piece = np.concatenate([self._piece[stay], np.full(n, len(self._pieces))])[order]
        self._slot = np.concatenate([self._slot[stay], np.arange(n)])[order]
        self._pieces.append(objects)
        self._let_go()

    def _let_go(self) -> None:
        """Keep no piece of which every tile has a newer content."""
        n_wanted = np.bincount(self._piece, minlength=len(self._pieces))
        for index in np.flatnonzero(n_wanted == 0).tolist():
            self._pieces[index] = TiledObjects.empty()

    def _gathered(self, rows: IntArray) -> TiledObjects:
        """Return the tiles of these rows, which ascend."""
        pieces = self._piece[rows]
        return TiledObjects.merged(
            [
                self._pieces[index].take_tiles(self._slot[rows[pieces == index]])
                for index in np.unique(pieces).tolist()
            ]
        )
