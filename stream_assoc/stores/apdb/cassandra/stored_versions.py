"""The latest versions of the objects that a session renews, and when they were written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.stores.apdb.arrays import arrays_of
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.tables import OBJECT

AT_ONCE: Final = 16
"""Objects that one statement asks for: nodes look for each of them in each partition that is named."""

_START: Final = 2
_N_COLUMNS: Final = 5

_LAST: Final = (
    'SELECT "diaObjectId", apdb_part, "validityStartMjdTai", ra, dec, WRITETIME(ra), WRITETIME("nDiaSources") '
    'FROM "DiaObjectLast" WHERE apdb_part IN ? AND "diaObjectId" IN ?'
)
_LATEST: Final = (
    'SELECT "diaObjectId", apdb_part, apdb_time_part, "validityStartMjdTai", "validityEndMjdTai", ra, dec '
    f'FROM "{OBJECT}" WHERE "diaObjectId" IN ?'
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StoredVersions:
    """The latest versions of some objects, as the database has them.

    Attributes
    ----------
    diaObjectId, parts, time_parts : `numpy.ndarray` [int64], shape (n,)
        Ascending by diaObjectId, each with its partition.
    validityStartMjdTai : `numpy.ndarray` [float64], shape (n,)
    is_open : `numpy.ndarray` [bool], shape (n,)
        Whether the version has not ended.
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees.
    last_written : `int`
        When the latest of their rows in DiaObjectLast was written, microseconds since 1970; 0 if there is none.
    """

    diaObjectId: IntArray
    parts: IntArray
    time_parts: IntArray
    validityStartMjdTai: FloatArray
    is_open: BoolArray
    ra: FloatArray
    dec: FloatArray
    last_written: int

    @classmethod
    def none(cls) -> "StoredVersions":
        """Return no version."""
        ids = np.empty(0, np.int64)
        return cls(ids, ids, ids, np.empty(0), np.empty(0, np.bool_), np.empty(0), np.empty(0), 0)


def read_stored_versions(
    connection: Connection, places: Places, diaObjectId: IntArray, new_parts: Mapping[int, int]
) -> StoredVersions:
    """Return the latest versions of those objects that have one.

    Objects seldom leave their partition of DiaObjectLast. There one answer has the versions of several neighbours,
    and the times at which they were written; only an object that is not there is looked for by its identifier.

    Parameters
    ----------
    connection : `Connection`
    places : `Places`
    diaObjectId : `numpy.ndarray` [int64]
    new_parts : mapping of `int` to `int`
        The partition of each object's new version, as far as it has one.
    """
    last = _last_rows(connection, new_parts.items())
    # A program of dax_apdb that changes one column of a row that is gone leaves nothing but this column.
    whole = [row for row in last if row[_START] is not None]
    # Of two copies, which nobody makes who holds the cell, the later version counts.
    found = {row[0]: row[:_N_COLUMNS] for row in sorted(whole, key=lambda row: row[_START])}
    ids, parts, starts, ra, dec = arrays_of(list(found.values()), "iiddd")
    latest = connection.read_in(_LATEST, np.setdiff1d(diaObjectId, ids).tolist())
    last += _last_rows(connection, [row[:2] for row in latest])
    in_last = (ids, parts, places.time_parts(starts), starts, np.full(len(ids), np.nan), ra, dec)
    both = [np.concatenate(pair) for pair in zip(in_last, arrays_of(latest, "iiidddd"), strict=True)]
    order = np.argsort(both[0])
    ids, parts, time_parts, starts, ends, ra, dec = (column[order] for column in both)
    written = [time for row in last for time in row[_N_COLUMNS:] if time is not None]
    return StoredVersions(ids, parts, time_parts, starts, np.isnan(ends), ra, dec, max(written, default=0))


def _last_rows(connection: Connection, objects_and_parts: Iterable[tuple[int, int]]) -> list[Row]:
    """Return what DiaObjectLast has of objects in these partitions."""
    by_part = sorted((part, one) for one, part in objects_and_parts)
    stretches = (by_part[at : at + AT_ONCE] for at in range(0, len(by_part), AT_ONCE))
    asked = [(sorted({part for part, _ in stretch}), sorted({one for _, one in stretch})) for stretch in stretches]
    return [row for rows in connection.read_each(_LAST, asked) for row in rows]
