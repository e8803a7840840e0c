"""Where the DIAObjects are: the catalogue that sources are associated with."""

from collections.abc import Sequence
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

    @classmethod
    def concatenate(cls, parts: Sequence["ObjectPositions"]) -> "ObjectPositions":
        """Return the rows of all parts, in order."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))
