"""Filling the cache ahead of a batch, without holding anything that a batch needs.

What is written is right whenever it is written. A tile is read in one moment
with its version, a state in one moment with the version of its object. If a
batch commits between the reading and the writing, the cache gets an older
version, which nobody believes: whoever reads a tile or a state asks for the
version that the APDB gives it then. So no cell is taken, and nobody waits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.checkpoints import CheckpointPolicy
from stream_assoc.pipeline.cold_states import cold_states
from stream_assoc.pipeline.neighbourhood import tiles_of
from stream_assoc.pipeline.ports.cache import CachedTiles, WarmableCache
from stream_assoc.pipeline.ports.sessions import ApdbReaders
from stream_assoc.pipeline.region import SkyPartition

_TILES_A_PORTION: Final = 256
_STATES_A_PORTION: Final = 2000
"""A portion takes about a tenth of a second: so often somebody else can have his turn."""


@dataclass(frozen=True, slots=True)
class Warmed:
    """How much one portion of work, or several together, has done.

    Attributes
    ----------
    tiles, states : `int`
        How many were looked at.
    written_tiles, written_states : `int`
        How many of them the cache lacked, or held in an older version.
    """

    tiles: int = 0
    states: int = 0
    written_tiles: int = 0
    written_states: int = 0

    def __add__(self, other: "Warmed") -> "Warmed":
        return Warmed(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Warmer:
    """The stores, and the means to rebuild tiles and states.

    Attributes
    ----------
    apdb : `ApdbReaders`
    cache : `WarmableCache`
    calculator : `StatisticsCalculator`
    partition : `SkyPartition`
    checkpoints : `CheckpointPolicy` or `None`
        How states are kept in the APDB.
    """

    apdb: ApdbReaders
    cache: WarmableCache
    calculator: StatisticsCalculator
    partition: SkyPartition
    checkpoints: CheckpointPolicy | None

    def warm(self, tiles: IntArray) -> Iterator[Warmed]:
        """Write those of these tiles, and of the states of their objects, that the cache lacks or holds outdated.

        Tiles come first, then the states of objects that were seen more than
        once: they cost most to rebuild, and are most likely seen again.

        Parameters
        ----------
        tiles : `numpy.ndarray` [int64]
            Sorted.

        Yields
        ------
        warmed : `Warmed`
            After each portion, with nothing open. The caller may wait then, or stop.

        Raises
        ------
        ApdbUnavailableError, CacheUnavailableError
            If a store is away. What was written before stays valid.
        """
        cold: list[ObjectPositions] = []
        for some in _portions(len(tiles), _TILES_A_PORTION):
            warmed, objects = self._warm_tiles(tiles[some])
            cold.append(objects)
            yield warmed
        objects = _seen_once_last(ObjectPositions.concatenate(cold))
        for some in _portions(len(objects), _STATES_A_PORTION):
            yield Warmed(written_states=self._warm_states(objects.rows(some.start, some.stop)))

    def _warm_tiles(self, tiles: IntArray) -> tuple[Warmed, ObjectPositions]:
        """Write the tiles that the cache lacks; return the objects of all of them whose states it lacks."""
        with self.apdb.reading() as reader:
            snapshot = reader.read_snapshot([], tiles)
            present = self.cache.read_tiles(tiles, snapshot.tile_versions)
            missing = np.setdiff1d(tiles, present.tiles, assume_unique=True)
            rebuilt = reader.load_tiles(missing) if len(missing) else TiledObjects.empty()
        versions = snapshot.tile_versions[np.searchsorted(tiles, rebuilt.tiles)]
        n_written = self._write_tiles(CachedTiles(rebuilt, versions))
        objects = TiledObjects.merged([present, rebuilt]).positions
        # No cached state of theirs is believed.
        objects = objects.take(~np.isin(objects.diaObjectId, snapshot.changed.diaObjectId))
        cached = self.cache.state_versions(objects.diaObjectId, self._cells(objects))
        cold = objects.take(cached != objects.validityStartMjdTai)
        return Warmed(len(tiles), len(objects), n_written), cold

    def _write_tiles(self, tiles: CachedTiles) -> int:
        """Write these tiles, but for those that somebody has written in a later version meanwhile."""
        if not len(tiles):
            return 0
        tiles = tiles.take(np.flatnonzero(self.cache.tile_versions(tiles.objects.tiles) < tiles.versions))
        self.cache.write(tiles, self.calculator.no_states(), np.empty(0, np.int64))
        return len(tiles)

    def _warm_states(self, objects: ObjectPositions) -> int:
        """Write the states of these objects, but for those that somebody has written in a later version meanwhile."""
        with self.apdb.reading() as reader:
            # Not the versions that the tiles told: batches have been stored since.
            latest = reader.latest_versions(objects.diaObjectId)
            objects = _seen_once_last(latest.positions.take(latest.is_open))
            states = cold_states(reader, self.calculator, self.checkpoints, objects).states
        cells = self._cells(objects)
        # NaN, for a state that is absent, is not below any number either.
        is_new = ~(self.cache.state_versions(states.diaObjectId, cells) >= states.validityStartMjdTai)
        self.cache.write(CachedTiles.none(), states.take(np.flatnonzero(is_new)), cells[is_new])
        return int(np.count_nonzero(is_new))

    def _cells(self, objects: ObjectPositions) -> IntArray:
        return self.partition.cells(tiles_of(objects, self.partition))


def _seen_once_last(objects: ObjectPositions) -> ObjectPositions:
    return objects.take(np.argsort(objects.nDiaSources <= 1, kind="stable"))


def _portions(n: int, size: int) -> Iterator[slice]:
    return (slice(begin, min(begin + size, n)) for begin in range(0, n, size))
