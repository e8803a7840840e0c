"""A write-back overlay: what a micro-batch has changed, before it is committed.

A micro-batch is several batches of one APDB transaction. Each must see what the
earlier ones made, but nothing of it may reach the shared cache before the
commit, and a tile's new version is only known after it.
"""

from collections.abc import Mapping

import numpy as np

from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.state_layout import StateLayout
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates, CachedTiles, ObjectCache
from stream_assoc.pipeline.staged_states import StagedStates
from stream_assoc.pipeline.staged_tiles import Origin, StagedTiles


class StagedCache:
    """An `~stream_assoc.pipeline.ports.cache.ObjectCache` that writes beneath only in `flush`.

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
