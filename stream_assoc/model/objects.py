"""Where the DIAObjects are: the catalogue that sources are associated with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stream_assoc.model.types import BoolArray, Float32Array, FloatArray, IntArray


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
        # Written out: a thousand tiles of a visit come through here.
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
    def of(cls, by_tile: Mapping[int, ObjectPositions], tiles: IntArray) -> "TiledObjects":
        """Return the objects of these tiles, which ascend."""
        parts = [by_tile[tile] for tile in tiles.tolist()]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(part) for part in parts], dtype=np.int64)])
        return cls(tiles, offsets, ObjectPositions.concatenate(parts))

    def __len__(self) -> int:
        return len(self.positions)

    def tile_of(self, rows: IntArray) -> IntArray:
        """Return the tile that each of these rows belongs to."""
        return self.tiles[np.searchsorted(self.offsets, rows, side="right") - 1]

    def split(self) -> dict[int, ObjectPositions]:
        """Return the objects of each tile, as views."""
        bounds = zip(self.tiles.tolist(), self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True)
        return {tile: self.positions.rows(begin, end) for tile, begin, end in bounds}
