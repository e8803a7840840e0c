"""The DIAObjects around some batches: read through the cache, changed in memory.

A neighbourhood lives as long as the exclusive session that guards it. Batches
change it one after another; what they changed reaches the cache in one write
after the APDB has committed.
"""

from typing import Protocol

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.cold_states import ColdStates, cold_states
from stream_assoc.pipeline.ports.cache import CachedStates, CachedTiles
from stream_assoc.pipeline.ports.reader import SessionReader, SessionSnapshot
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.region import SkyPartition
from stream_assoc.pipeline.services import Services
from stream_assoc.pipeline.staging import StagedCache
from stream_assoc.pipeline.tiles import without_and_with


class Surroundings(Protocol):
    """The objects around a batch, to be read only: `decide` may not change them."""

    @property
    def session(self) -> SessionReader:
        """The session that reads more about them."""

    def objects(self, tiles: IntArray) -> TiledObjects:
        """Return every object of these tiles, which ascend."""

    def states(self, objects: ObjectPositions, tiles: IntArray) -> ObjectStates:
        """Return the states of these objects, each in its tile, in their order."""


class Neighbourhood:
    """The objects of a set of tiles, as the APDB has them and the batches change them.

    Parameters
    ----------
    session : `ApdbSession`
        Holds the cells of these tiles.
    staged : `StagedCache`
        Asked first; what it lacks is rebuilt from the session. It keeps
        changes until `flush`.
    calculator : `StatisticsCalculator`
        Rebuilds states.
    partition : `SkyPartition`
        The division of the sky into tiles and cells.
    versions : `dict` [`int`, `int`]
        The tiles of the neighbourhood and the version the APDB gives each.
    cold : `ColdStates`, optional
        Which cached states do not count, and what those in no cache are folded onto.

    Attributes
    ----------
    session : `ApdbSession`
        As given.
    overdue : `numpy.ndarray` [int64]
        Objects whose states were folded from so many sources that they should be kept in the APDB.
    """

    def __init__(
        self,
        session: ApdbSession,
        staged: StagedCache,
        calculator: StatisticsCalculator,
        partition: SkyPartition,
        versions: dict[int, int],
        cold: ColdStates | None = None,
    ) -> None:
        self.session = session
        self._staged = staged
        self._calculator = calculator
        self._partition = partition
        self._versions = versions
        cold = cold or ColdStates()
        self._changed, self._checkpoints = cold.changed, cold.policy
        self.overdue = np.empty(0, np.int64)
        self._no_states = calculator.no_states()

    def objects(self, tiles: IntArray) -> TiledObjects:
        """Return every object of these tiles, which ascend, and keep those that were not here yet."""
        present = self._staged.read_tiles(tiles, self._versions_of(tiles))
        missing = np.setdiff1d(tiles, present.tiles, assume_unique=True)
        if not len(missing):
            return present
        rebuilt = self.session.load_tiles(missing)
        self._staged.write(
            CachedTiles(rebuilt, self._versions_of(rebuilt.tiles)), self._no_states, np.empty(0, np.int64)
        )
        return TiledObjects.merged([present, rebuilt])

    def states(self, objects: ObjectPositions, tiles: IntArray) -> ObjectStates:
        """Return the states of these objects, each in its tile, in their order."""
        cached = self._cached_states(objects, tiles)
        if len(cached.found) == len(objects):
            return cached.states
        missing = np.setdiff1d(np.arange(len(objects)), cached.found)
        folded = cold_states(self.session, self._calculator, self._checkpoints, objects.take(missing))
        if self._checkpoints is not None:
            overdue = folded.states.diaObjectId[self._checkpoints.is_overdue(folded.n_folded)]
            self.overdue = np.concatenate([self.overdue, overdue])
        if not len(cached.found):
            return folded.states
        order = np.argsort(np.concatenate([cached.found, missing]))
        return ObjectStates.concatenate([cached.states, folded.states]).take(order)

    def _cached_states(self, objects: ObjectPositions, tiles: IntArray) -> CachedStates:
        """Return the states that are staged or cached, but for those that another program has made out of date."""
        cached = self._staged.read_states(
            objects.diaObjectId, self._partition.cells(tiles), objects.validityStartMjdTai
        )
        is_valid = ~np.isin(cached.states.diaObjectId, self._changed)
        if is_valid.all():
            return cached
        return CachedStates(cached.found[is_valid], cached.states.take(np.flatnonzero(is_valid)))

    def replace(
        self, around: TiledObjects, matched: ObjectPositions, matched_tiles: IntArray, states: ObjectStates
    ) -> IntArray:
        """Put changed and new objects where they are now.

        Parameters
        ----------
        around : `TiledObjects`
            As `objects` returned some tiles, most of those concerned among them; not changed since.
        matched : `ObjectPositions`
            The objects as they were; they leave their tiles.
        matched_tiles : `numpy.ndarray` [int64]
            The tile that each of them is in.
        states : `ObjectStates`
            Their new states, and those of new objects.

        Returns
        -------
        tiles : `numpy.ndarray` [int64]
            The sorted tiles whose content has changed.
        """
        positions = self._calculator.positions(states)
        new_tiles = tiles_of(positions, self._partition)
        changed = np.union1d(matched_tiles, new_tiles)
        # A tile that was not loaded is not rewritten: its new version makes any cached copy out of date.
        is_loaded = np.array([tile in self._versions for tile in changed.tolist()], np.bool_)
        loaded = changed[is_loaded]
        leaving = is_loaded[np.searchsorted(changed, matched_tiles)]
        arriving = is_loaded[np.searchsorted(changed, new_tiles)]
        beyond = np.setdiff1d(loaded, around.tiles, assume_unique=True)
        after = without_and_with(
            TiledObjects.merged([around, self.objects(beyond)]),
            loaded,
            matched.diaObjectId[leaving],
            matched_tiles[leaving],
            positions.take(arriving),
            new_tiles[arriving],
        )
        self._staged.stage(after, states, self._partition.cells(new_tiles))
        # From here on the staged state is the object's.
        if len(self._changed):
            self._changed = self._changed[~np.isin(self._changed, states.diaObjectId)]
        return changed

    def flush(self, tiles: IntArray, versions: IntArray) -> None:
        """Write what was changed or rebuilt to the cache, the changed tiles with their new versions.

        Raises
        ------
        CacheUnavailableError
            If the cache went away. Nothing is lost: what is not written is
            rebuilt when it is next asked for.
        """
        self._staged.flush(dict(zip(tiles.tolist(), versions.tolist(), strict=True)))

    def _versions_of(self, tiles: IntArray) -> IntArray:
        return np.array([self._versions[tile] for tile in tiles.tolist()], np.int64)


def neighbourhood_of(
    session: ApdbSession, snapshot: SessionSnapshot, tiles: IntArray, services: Services
) -> Neighbourhood:
    """Return the neighbourhood of these tiles, whose versions ``snapshot`` tells."""
    versions = dict(zip(tiles.tolist(), snapshot.tile_versions.tolist(), strict=True))
    staged = StagedCache(services.cache, services.layout)
    cold = ColdStates(snapshot.changed.diaObjectId, services.checkpoints)
    return Neighbourhood(session, staged, services.calculator, services.partition, versions, cold)


def tiles_of(objects: ObjectPositions, partition: SkyPartition) -> IntArray:
    """Return the tile that each object is in."""
    return htm_index(objects.ra, objects.dec, partition.tile_level)
