"""The stores that maintenance works on, in pieces so small that no daemon waits long."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.exceptions import FatalError, StreamAssocError
from stream_assoc.pipeline.checkpoints import CheckpointPolicy
from stream_assoc.pipeline.cold_states import cold_states
from stream_assoc.pipeline.forced import rebuilt_states
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.cache import CachedTiles, InspectableCache
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.region import SkyPartition

_TILES_A_PIECE: Final = 64
_OBJECTS_A_PORTION: Final = 5000
"""Bounds the memory of histories and states, not the result."""


class UnknownTileError(FatalError, StreamAssocError):
    """A tile was named that is not one of the sky's partition."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The two stores to compare, and the means to compute states and tiles, onto checkpoints too."""

    apdb: Apdb
    cache: InspectableCache
    calculator: StatisticsCalculator
    partition: SkyPartition
    checkpoints: CheckpointPolicy | None = None

    def tiles_around(self, ra: float, dec: float, radius_deg: float) -> IntArray:
        """Return the sorted tiles that a circle touches; position and radius in degrees."""
        return trixels_near([ra], [dec], radius_deg * 3600.0, self.partition.tile_level)

    def tiles_named(self, indices: Sequence[int]) -> IntArray:
        """Return the tiles of these HTM indices, sorted and without repetition.

        Raises
        ------
        UnknownTileError
            If an index is not that of a tile at ``sky.tile_level``.
        """
        first = 8 << 2 * self.partition.tile_level
        for index in indices:
            if not first <= index < 2 * first:
                raise UnknownTileError(
                    f"{index} is not a tile: HTM indices of sky.tile_level {self.partition.tile_level} "
                    f"go from {first} to {2 * first - 1}"
                )
        return np.unique(np.array(indices, np.int64))

    def write_tiles(self, tiles: CachedTiles) -> None:
        """Store these tiles in the cache."""
        if len(tiles):
            self.cache.write(tiles, self.calculator.no_states(), np.empty(0, np.int64))

    def write_states(self, states: ObjectStates, cell: int) -> None:
        """Store these states, of objects of one cell, in the cache."""
        if len(states):
            self.cache.write(CachedTiles.none(), states, np.full(len(states), cell, np.int64))

    def rebuilt(self, session: ApdbSession, objects: ObjectPositions) -> ObjectStates:
        """Return the states of those of the objects that the APDB has versions of, in their order."""
        return rebuilt_states(session, self.calculator, objects.diaObjectId)

    def cold(self, session: ApdbSession, objects: ObjectPositions) -> ObjectStates:
        """Return the same states as `rebuilt`, sooner: what is kept in the APDB is believed."""
        return cold_states(session, self.calculator, self.checkpoints, objects).states

    def folded_onto_checkpoints(self, session: ApdbSession, objects: ObjectPositions) -> ObjectStates:
        """Return the states of those of the objects that have a checkpoint, folded onto it, in their order."""
        policy = self.checkpoints
        if policy is None:
            return self.rebuilt(session, objects.take(np.empty(0, np.int64)))
        kept = session.load_checkpoints(objects.diaObjectId, policy.codec.layout)
        wanted = objects.take(np.isin(objects.diaObjectId, kept.diaObjectId))
        return cold_states(session, self.calculator, policy, wanted).states


@dataclass(frozen=True, slots=True)
class Piece:
    """Some tiles of one cell, held exclusively, as the APDB has them.

    Attributes
    ----------
    session : `ApdbSession`
        Holds the cell.
    cell : `int`
        The HTM index of the cell.
    tiles : `CachedTiles`
        What the cache should hold for each tile.
    changed : `numpy.ndarray` [int64]
        Objects that another program has changed: no cached state of theirs is used.
    """

    session: ApdbSession
    cell: int
    tiles: CachedTiles
    changed: IntArray

    def portions(self) -> Iterator[ObjectPositions]:
        """Return the objects of the tiles, some thousands at a time."""
        objects = self.tiles.objects.positions
        for start in range(0, len(objects), _OBJECTS_A_PORTION):
            yield objects.take(np.arange(start, min(start + _OBJECTS_A_PORTION, len(objects))))

    def cells(self, n: int) -> IntArray:
        """Return the cell once for each of ``n`` objects."""
        return np.full(n, self.cell, np.int64)


def piecewise(tiles: IntArray, partition: SkyPartition) -> Iterator[IntArray]:
    """Return the sorted tiles in pieces, each of a single cell."""
    by_cell = np.split(tiles, np.flatnonzero(np.diff(partition.cells(tiles))) + 1) if len(tiles) else []
    for of_cell in by_cell:
        yield from np.split(of_cell, range(_TILES_A_PIECE, len(of_cell), _TILES_A_PIECE))


@contextmanager
def holding(stores: Stores, tiles: IntArray) -> Iterator[Piece]:
    """Hold the cell of some tiles for as long as a piece of work takes.

    Meanwhile no batch changes these tiles, neither in the APDB nor in the
    cache, because a daemon holds the cell while it writes either.

    Raises
    ------
    ApdbUnavailableError
        If the cell was not free in time, or the database is unavailable.
    """
    cells = np.unique(stores.partition.cells(tiles))
    with stores.apdb.exclusive(cells) as session:
        snapshot = session.read_snapshot([], tiles)
        content = CachedTiles(session.load_tiles(tiles), snapshot.tile_versions)
        yield Piece(session, int(cells[0]), content, snapshot.changed.diaObjectId)
