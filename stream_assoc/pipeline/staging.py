"""What a micro-batch has read and changed, kept in memory until it is committed.

A micro-batch is several batches of one APDB transaction. Each must see what the
earlier ones made, but nothing of it may reach the shared cache before the
commit, and a tile's new version is only known after it.
"""

from collections.abc import Mapping
from enum import IntEnum
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.states import ObjectStates, StateLayout
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates, CachedTiles, ObjectCache


class StagedCache:
    """An `ObjectCache` that writes beneath only in `flush`.

    It lives as long as the exclusive hold on the cells it is used for: while
    nobody else changes them, a tile once read or rebuilt is not read again.
    Tiles are kept as one of

    * *changed*, by `stage`: current whatever version is asked for. Written by
      `flush` with the version the commit gave it; dropped without one.
    * *rebuilt* from the APDB, by `write`: current at its own version. Written
      by `flush` with that version, unless the commit made it out of date.
    * *read* from the cache beneath: current at its own version, never written.

    A state is current by its validityStartMjdTai, staged or not.

    Parameters
    ----------
    beneath : `ObjectCache`
        The shared cache. It is not closed with this one.
    layout : `StateLayout`
    """

    def __init__(self, beneath: ObjectCache, layout: StateLayout) -> None:
        self._beneath = beneath
        self._layout = layout
        self._tiles = StagedTiles()
        self._states = StagedStates(layout)

    def read_tiles(self, tiles: IntArray, versions: IntArray) -> TiledObjects:
        """Return the tiles that are staged, or cached with exactly the given version."""
        staged = self._tiles.find(tiles, versions)
        elsewhere = np.flatnonzero(~np.isin(tiles, staged.tiles, assume_unique=True))
        if not len(elsewhere):
            return staged
        beneath = self._beneath.read_tiles(tiles[elsewhere], versions[elsewhere])
        found = CachedTiles(beneath, versions[np.searchsorted(tiles, beneath.tiles)])
        self._tiles.keep(Origin.READ, found)
        return TiledObjects.merged([staged, beneath])

    def read_states(self, diaObjectId: IntArray, cells: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """Return those states that are staged or cached for exactly the given object version."""
        if not len(self._states):
            return self._beneath.read_states(diaObjectId, cells, validityStartMjdTai)
        staged = self._states.find(diaObjectId, validityStartMjdTai)
        elsewhere = np.setdiff1d(np.arange(len(diaObjectId)), staged.found, assume_unique=True)
        if not len(elsewhere):
            return staged
        beneath = self._beneath.read_states(diaObjectId[elsewhere], cells[elsewhere], validityStartMjdTai[elsewhere])
        if not len(staged.found):
            return CachedStates(elsewhere[beneath.found], beneath.states)
        found = np.concatenate([staged.found, elsewhere[beneath.found]])
        order = np.argsort(found)
        states = ObjectStates.concatenate([staged.states, beneath.states]).take(order)
        return CachedStates(found[order], states)

    def stage(self, tiles: TiledObjects, states: ObjectStates, cells: IntArray) -> None:
        """Keep what a batch has changed; its tiles get their versions in `flush`."""
        self._tiles.keep_changed(tiles)
        self._states.keep(states, cells)

    def write(self, tiles: CachedTiles, states: ObjectStates, cells: IntArray) -> None:
        """Keep what has been rebuilt from the APDB, its versions known, until `flush`.

        A tile that is already changed stays so: what the APDB holds is older.
        """
        self._tiles.keep(Origin.REBUILT, tiles)
        self._states.keep(states, cells)

    def flush(self, versions: Mapping[int, int]) -> None:
        """Write everything beneath in one call, and start anew.

        Parameters
        ----------
        versions : `~collections.abc.Mapping` [`int`, `int`]
            The version the commit gave each tile it changed. Call this only
            after the commit; `discard` is for a commit that failed.

        Raises
        ------
        CacheUnavailableError
            If the cache cannot be reached. Nothing is kept for another try:
            what was not written is out of date by its version and will be rebuilt.
        """
        tiles = self._tiles.to_write(versions)
        states, cells = self._states.newest()
        self.discard()
        if len(tiles) or len(states):
            self._beneath.write(tiles, states, cells)

    def discard(self) -> None:
        """Forget everything that was not flushed."""
        self._tiles = StagedTiles()
        self._states = StagedStates(self._layout)

    def close(self) -> None:
        """Forget everything; the cache beneath stays open, it is not this one's."""
        self.discard()


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


class StagedStates:
    """States as the pieces they came in; packing them is left to whoever stores them.

    Parameters
    ----------
    layout : `StateLayout`
        What the states are made of.
    """

    def __init__(self, layout: StateLayout) -> None:
        self._pieces = [layout.empty_states()]
        self._cells = [np.empty(0, np.int64)]
        self._rows: dict[int, int] = {}
        self._n_kept = 0

    def __len__(self) -> int:
        return len(self._rows)

    def keep(self, states: ObjectStates, cells: IntArray) -> None:
        """Keep these states and the cell of each, instead of older ones of the same objects."""
        if not len(states):
            return
        end = self._n_kept + len(states)
        self._rows.update(zip(states.diaObjectId.tolist(), range(self._n_kept, end), strict=True))
        self._pieces.append(states)
        self._cells.append(cells)
        self._n_kept = end

    def find(self, diaObjectId: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """Return those states that are kept for exactly the given object version."""
        rows = np.fromiter((self._rows.get(key, -1) for key in diaObjectId.tolist()), np.int64, len(diaObjectId))
        kept = np.flatnonzero(rows >= 0)
        states = self._take(rows[kept])
        current = states.validityStartMjdTai == validityStartMjdTai[kept]
        if current.all():
            return CachedStates(kept, states)
        return CachedStates(kept[current], states.take(np.flatnonzero(current)))

    def newest(self) -> tuple[ObjectStates, IntArray]:
        """Return the newest state of each object, and its cell."""
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        return self._take(rows), np.concatenate(self._cells)[rows]

    def _take(self, rows: IntArray) -> ObjectStates:
        """Return the states of these rows of all pieces together."""
        begins = np.array([*accumulate(map(len, self._pieces), initial=0)], np.int64)
        # The first piece is empty: what is asked of none comes from there.
        piece = np.searchsorted(begins, rows, side="right") - 1
        if not len(rows) or (piece == piece[0]).all():
            index = int(piece[0]) if len(rows) else 0
            return _chosen(self._pieces[index], rows - begins[index])
        order = np.argsort(piece, kind="stable")
        parts = [
            self._pieces[index].take(rows[piece == index] - begins[index]) for index in np.unique(piece).tolist()
        ]
        return ObjectStates.concatenate(parts).take(np.argsort(order))


def _chosen(states: ObjectStates, rows: IntArray) -> ObjectStates:
    """Return these rows; without copying anything where they are all, in order."""
    if len(rows) == len(states) and (rows == np.arange(len(rows))).all():
        return states
    return states.take(rows)
