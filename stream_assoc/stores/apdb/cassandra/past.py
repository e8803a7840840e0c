"""Versions of objects: all of one, the last ones of all, and those that were in force at a time."""

from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Final

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import FloatArray
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.contents import Contents
from stream_assoc.stores.apdb.cassandra.keyed_rows import KeyedRows
from stream_assoc.stores.apdb.cassandra.places import Partition, Places
from stream_assoc.stores.apdb.cassandra.sky import Trixels
from stream_assoc.stores.apdb.cassandra.tables import OBJECT
from stream_assoc.stores.apdb.reading.answers import Row, positions_of, too_many_objects
from stream_assoc.stores.apdb.rows.tables import POSITION_COLUMNS

_START: Final = "validityStartMjdTai"
_POSITIONS: Final = POSITION_COLUMNS[1:]
_PARTITIONS_AT_ONCE: Final = 16
_OBJECTS_AT_ONCE: Final = 10_000
_BATCHES_AT_ONCE: Final = 64

_LATEST: Final = (
    f'SELECT "diaObjectId", apdb_part, apdb_time_part, "{_START}", "validityEndMjdTai" '
    f'FROM "{OBJECT}" WHERE "diaObjectId" IN ?'
)


class Past:
    """Finds versions by our tables: those of objects that dax_apdb itself has stored are not found.

    Parameters
    ----------
    connection : `Connection`
    places : `Places`
    rows : `KeyedRows`
    contents : `Contents`
    """

    def __init__(self, connection: Connection, places: Places, rows: KeyedRows, contents: Contents) -> None:
        self._connection = connection
        self._places = places
        self._rows = rows
        self._contents = contents

    def versions(self, diaObjectId: int, limit: int, columns: Sequence[str]) -> list[Row]:
        """Return the latest versions of an object, the last first."""
        partitions = iter(self._rows.places("DiaObject", [diaObjectId]).get(diaObjectId, ()))
        found: list[Row] = []
        while len(found) < limit and (some := list(islice(partitions, _PARTITIONS_AT_ONCE))):
            found += self._of([(partition, diaObjectId) for partition in some], columns)
        return [row[1:] for row in sorted(found, key=lambda row: -row[0])[:limit]]

    def first_start(self, diaObjectId: int) -> float | None:
        """Return when the first version of an object began, MJD TAI."""
        partitions = self._rows.places("DiaObject", [diaObjectId]).get(diaObjectId)
        if not partitions:
            return None
        first = partitions[-1][1]
        rows = self._of([(one, diaObjectId) for one in partitions if one[1] == first], ())
        return float(min(start for (start,) in rows))

    def newest(self, limit: int, columns: Sequence[str]) -> list[Row]:
        """Return the versions in force that began last, the latest first."""
        keys: dict[int, tuple[Partition, float]] = {}
        seen: set[int] = set()
        renewed = (found.diaObjectId.tolist() for found in self._contents.new_versions())
        while len(keys) < limit and (some := list(islice(renewed, _BATCHES_AT_ONCE))):
            unseen = {one for ids in some for one in ids} - seen
            seen |= unseen
            rows = self._connection.read_in(_LATEST, sorted(unseen))
            keys |= {row[0]: ((row[1], row[2]), row[3]) for row in rows if row[4] is None}
        latest = sorted(keys.items(), key=lambda item: -item[1][1])[:limit]
        chosen = {(identifier, start) for identifier, (_, start) in latest}
        rows = self._of([(partition, one) for one, (partition, _) in latest], ("diaObjectId", *columns))
        newest = [row for row in rows if (row[1], row[0]) in chosen]
        return [row[2:] for row in sorted(newest, key=lambda row: -row[0])]

    def latest_start(self) -> float | None:
        """Return when the latest version of any object was made, MJD TAI."""
        return next((found.timeProcessedMjdTai for found in self._contents.new_versions()), None)

    def before(
        self, ra: FloatArray, dec: FloatArray, radius_arcsec: float, time: float, limit: int
    ) -> ObjectPositions:
        """See `ApdbReader.sky_before`."""
        trixels = Trixels(ra, dec, radius_arcsec)
        ids = trixels.objects(self._connection)
        found = [ObjectPositions.empty()]
        for some in np.array_split(ids, range(_OBJECTS_AT_ONCE, len(ids), _OBJECTS_AT_ONCE)):
            objects = positions_of(sorted(self._in_force(some.tolist(), time)))
            found.append(objects.take(trixels.hold(objects.ra, objects.dec)))
            if sum(map(len, found)) > limit:
                raise too_many_objects(limit)
        return ObjectPositions.concatenate(found)

    def _in_force(self, diaObjectId: Iterable[int], time: float) -> list[Row]:
        """Return the positions of the last versions that begin before a time, if they do not end before it."""
        last = int(self._places.time_parts(np.array([time]))[0])
        waiting = {
            one: earlier
            for one, partitions in self._rows.places("DiaObject", diaObjectId).items()
            if (earlier := _by_time_part(place for place in partitions if place[1] <= last))
        }
        found: dict[int, Row] = {}
        while waiting:
            # Where all versions of a time partition begin later, that in force is in one before it.
            keys = [(place, one) for one, earlier in waiting.items() for place in earlier[0]]
            for start, end, *position in self._of(keys, ("validityEndMjdTai", *_POSITIONS)):
                known = found.get(position[0])
                if start < time and (known is None or known[0] < start):
                    found[position[0]] = (start, end, *position)
            waiting = {one: earlier[1:] for one, earlier in waiting.items() if one not in found and len(earlier) > 1}
        return [tuple(position) for _, end, *position in found.values() if end is None or end >= time]

    def _of(self, keys: Iterable[tuple[Partition, int]], columns: Sequence[str]) -> list[Row]:
        """Return all versions of these objects in these partitions, each with its beginning before the columns."""
        return self._rows.read("DiaObject", keys, (_START, *columns))


def _by_time_part(partitions: Iterable[Partition]) -> list[list[Partition]]:
    """Return the partitions of each time, in their order."""
    return [list(some) for _, some in groupby(partitions, key=itemgetter(1))]
