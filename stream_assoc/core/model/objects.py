"""Where the DIAObjects are: the catalogue that sources are associated with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_assoc.core.model.arrays import offsets_of, rows_of
from stream_assoc.core.model.types import BoolArray, Float32Array, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ObjectPositions:
    """Positions of DIAObjects, exactly as the APDB's DiaObjectLast holds them.

    The errors stay float32 because that is what the database stores: an
    association must not depend on whether a position came out of the cache or
    out of the database.

    Attributes
    ----------
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Current mean position, degrees.
    raErr, decErr : `numpy.ndarray` [float32], shape (n,)
        Degrees; NaN where the database holds NULL.
    validityStartMjdTai : `numpy.ndarray` [float64], shape (n,)
        When the current version of the object was made. It also stamps the
        object's cached state: a state with another value is out of date.
    nDiaSources : `numpy.ndarray` [int32], shape (n,)
    """

    diaObjectId: IntArray
    ra: FloatArray
    dec: FloatArray
    raErr: Float32Array
    decErr: Float32Array
    validityStartMjdTai: FloatArray
    nDiaSources: "np.ndarray[tuple[int], np.dtype[np.int32]]"

    def __len__(self) -> int:
        return len(self.diaObjectId)

    @classmethod
    def empty(cls) -> "ObjectPositions":
        """Return a catalogue of nothing."""
        return cls(
            np.empty(0, np.int64),
            np.empty(0),
            np.empty(0),
            np.empty(0, np.float32),
            np.empty(0, np.float32),
            np.empty(0),
            np.empty(0, np.int32),
        )

    def take(self, rows: IntArray | BoolArray) -> "ObjectPositions":
        """Return the chosen rows, by index or by mask."""
        return ObjectPositions(*(getattr(self, name)[rows] for name in self.__slots__))

    def without(self, rows: IntArray) -> "ObjectPositions":
        """Return all rows but these, in order."""
        staying = np.ones(len(self), np.bool_)
        staying[rows] = False
        return self.take(staying)

    def rows(self, begin: int, end: int) -> "ObjectPositions":
        """Return the rows from ``begin`` to before ``end``, as views."""
        span = slice(begin, end)
        return ObjectPositions(
            self.diaObjectId[span],
            self.ra[span],
            self.dec[span],
            self.raErr[span],
            self.decErr[span],
            self.validityStartMjdTai[span],
            self.nDiaSources[span],
        )

    @classmethod
    def concatenate(cls, parts: Sequence["ObjectPositions"]) -> "ObjectPositions":
        """Return the rows of all parts, in order."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class TiledObjects:
    """The DIAObjects of some tiles, tile after tile.

    Attributes
    ----------
    tiles : `numpy.ndarray` [int64], shape (n_tiles,)
        Ascending.
    offsets : `numpy.ndarray` [int64], shape (n_tiles + 1,)
        Tile ``i`` holds the rows ``offsets[i]:offsets[i + 1]``.
    positions : `ObjectPositions`
        Ascending by diaObjectId in each tile.
    """

    tiles: IntArray
    offsets: IntArray
    positions: ObjectPositions

    @classmethod
    def empty(cls) -> "TiledObjects":
        """Return no tile."""
        return cls(np.empty(0, np.int64), np.zeros(1, np.int64), ObjectPositions.empty())

    @classmethod
    def merged(cls, parts: Sequence["TiledObjects"]) -> "TiledObjects":
        """Return the tiles of all parts, each of which is in one of them only."""
        parts = [part for part in parts if len(part.tiles)]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        tiles = np.concatenate([part.tiles for part in parts])
        sizes = np.concatenate([np.diff(part.offsets) for part in parts])
        together = cls(tiles, offsets_of(sizes), ObjectPositions.concatenate([part.positions for part in parts]))
        return together.take_tiles(np.argsort(tiles))

    def __len__(self) -> int:
        return len(self.positions)

    def tile_of(self, rows: IntArray) -> IntArray:
        """Return the tile that holds each of these rows."""
        return self.tiles[np.searchsorted(self.offsets, rows, side="right") - 1]

    def take_tiles(self, slots: IntArray) -> "TiledObjects":
        """Return the tiles in these places; without copying anything where they are all, in order."""
        if len(slots) == len(self.tiles) and (slots == np.arange(len(slots))).all():
            return self
        sizes = self.offsets[slots + 1] - self.offsets[slots]
        rows, offsets = rows_of(self.offsets[slots], sizes)
        return TiledObjects(self.tiles[slots], offsets, self.positions.take(rows))

    def split(self) -> dict[int, ObjectPositions]:
        """Return the objects of each tile, as views."""
        bounds = zip(self.tiles.tolist(), self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True)
        return {tile: self.positions.rows(begin, end) for tile, begin, end in bounds}
