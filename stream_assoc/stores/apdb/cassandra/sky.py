"""Where objects have been: by trixels smaller than the partitions of DiaObject, and whenever it was.

DiaObject is divided by the time at which a version begins, and one that is in
force may have begun years ago. So the plan notes the trixel of each version.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.tables import SKY

TRIXEL_LEVEL: Final = 15
"""About ten arcseconds: as wide as the circles that are asked for, so that an object has few of them."""
TILE_LEVEL: Final = 10
"""Level of the partitions, whatever the tiles of the pipeline are."""

_OCTANT_ARCSEC: Final = 90.0 * 3600.0
_OBJECTS: Final = f'SELECT "diaObjectId" FROM "{SKY}" WHERE tile = ? AND trixel >= ? AND trixel < ?'


def sky_trixels(ra: FloatArray, dec: FloatArray) -> IntArray:
    """Return the trixels under which objects at these positions, degrees, are noted."""
    return htm_index(ra, dec, TRIXEL_LEVEL)


def sky_changes(noted: Iterable[tuple[int, int]]) -> Change:
    """Return the notes of trixels, each with an object that is there, each pair once."""
    trixels, ids = np.array(sorted(noted), np.int64).reshape(-1, 2).T
    return Change(SKY, pa.table({"tile": trixels >> _shift(TILE_LEVEL), "trixel": trixels, "diaObjectId": ids}))


class Trixels:
    """The trixels round some positions.

    Parameters
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Finite degrees.
    radius_arcsec : `float`
        Radius round each.
    """

    def __init__(self, ra: FloatArray, dec: FloatArray, radius_arcsec: float) -> None:
        fitting = int(math.log2(_OCTANT_ARCSEC / max(radius_arcsec, 1e-3)))
        self._level = min(max(fitting, TILE_LEVEL), TRIXEL_LEVEL)
        self._trixels = trixels_near(ra, dec, radius_arcsec, self._level)

    def objects(self, connection: Connection) -> IntArray:
        """Return the objects that have ever been there, ascending."""
        low = self._trixels << _shift(self._level)
        high = (self._trixels + 1) << _shift(self._level)
        spans = zip((low >> _shift(TILE_LEVEL)).tolist(), low.tolist(), high.tolist(), strict=True)
        found = [identifier for rows in connection.read_each(_OBJECTS, spans) for (identifier,) in rows]
        return np.unique(np.array(found, np.int64))

    def hold(self, ra: FloatArray, dec: FloatArray) -> BoolArray:
        """Tell which positions are in them."""
        return np.isin(htm_index(ra, dec, self._level), self._trixels)


def _shift(level: int) -> int:
    """Return the bits between a trixel and the one of this level that holds it."""
    return 2 * (TRIXEL_LEVEL - level)
