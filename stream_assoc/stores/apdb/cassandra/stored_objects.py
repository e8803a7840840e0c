"""What is stored of some objects, as an inspection compares it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.keyed_rows import KeyedRows
from stream_assoc.stores.apdb.cassandra.places import Partition
from stream_assoc.stores.apdb.cassandra.tables import OBJECT
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.rows.tables import FURTHER, quoted

_LATEST: Final = (
    'SELECT "diaObjectId", apdb_part, apdb_time_part, "validityStartMjdTai", "validityEndMjdTai", "nDiaSources" '
    f'FROM "{OBJECT}" WHERE "diaObjectId" IN ?'
)
_LAST: Final = '"DiaObjectLast" WHERE apdb_part = ? AND "diaObjectId" IN ?'
_MAP: Final = 'SELECT "diaObjectId", apdb_part FROM "DiaObjectLastToPartition" WHERE "diaObjectId" IN ?'
_VERSION: Final = ("diaObjectId", "validityStartMjdTai", "validityEndMjdTai")


@dataclass(frozen=True, slots=True)
class Latest:
    """The row of an object in `OBJECT`, which says what its latest version is.

    Attributes
    ----------
    partition : `Partition`
        Of the version in DiaObject.
    begin : `float`
        ``validityStartMjdTai``
    end : `float` or `None`
        ``validityEndMjdTai``
    nDiaSources : `int`
    """

    partition: Partition
    begin: float
    end: float | None
    nDiaSources: int


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A row of DiaObject.

    Attributes
    ----------
    begin : `float`
        ``validityStartMjdTai``
    end : `float` or `None`
        ``validityEndMjdTai``
    """

    begin: float
    end: float | None


class StoredObjects:
    """Reads rows of some objects.

    Parameters
    ----------
    connection : `Connection`
    rows : `KeyedRows`
    """

    def __init__(self, connection: Connection, rows: KeyedRows) -> None:
        self._connection = connection
        self._rows = rows

    def latest(self, diaObjectId: Iterable[int]) -> dict[int, Latest]:
        """Return what our table says of these objects."""
        rows = self._connection.read_in(_LATEST, sorted(set(diaObjectId)))
        return {row[0]: Latest((row[1], row[2]), *row[3:]) for row in rows}

    def versions(self, diaObjectId: Iterable[int]) -> dict[int, list[Version]]:
        """Return all versions of these objects in DiaObject, each object's by their beginning."""
        places = self._rows.places("DiaObject", sorted(set(diaObjectId)))
        keys = [(place, one) for one, partitions in places.items() for place in partitions]
        found: dict[int, list[Version]] = {}
        for identifier, begin, end in self._rows.read("DiaObject", keys, _VERSION):
            found.setdefault(identifier, []).append(Version(begin, end))
        return {one: sorted(versions, key=lambda version: version.begin) for one, versions in found.items()}

    def rows_of_latest(self, latest: Mapping[int, Latest], columns: Sequence[str]) -> dict[int, Row]:
        """Return columns of the versions in DiaObject that our table names."""
        keys = [(one.partition, identifier) for identifier, one in latest.items()]
        rows = self._rows.read("DiaObject", keys, ("diaObjectId", "validityStartMjdTai", *columns))
        return {row[0]: row[2:] for row in rows if row[1] == latest[row[0]].begin}

    def further_of_latest(self, latest: Mapping[int, Latest], columns: Sequence[str]) -> dict[int, Row]:
        """Return columns of the further statistics of the versions that our table names."""
        statement = (
            f'SELECT {quoted(("diaObjectId", *columns))} FROM "{FURTHER}" '
            'WHERE "diaObjectId" = ? AND "validityStartMjdTai" = ?'
        )
        found = self._connection.read_each(statement, [(one, known.begin) for one, known in latest.items()])
        return {row[0]: row[1:] for rows in found for row in rows}

    def last(self, keys: Iterable[tuple[int, int]], columns: Sequence[str]) -> dict[tuple[int, int], Row]:
        """Return columns of rows of DiaObjectLast, by pixel and diaObjectId."""
        by_part: dict[int, set[int]] = {}
        for part, identifier in keys:
            by_part.setdefault(part, set()).add(identifier)
        asked = [(part, sorted(ids)) for part, ids in by_part.items()]
        statement = f"SELECT {quoted(('apdb_part', 'diaObjectId', *columns))} FROM {_LAST}"
        found = self._connection.read_each(statement, asked)
        return {(row[0], row[1]): row[2:] for rows in found for row in rows}

    def mapped(self, diaObjectId: Iterable[int]) -> dict[int, int]:
        """Return the pixel of DiaObjectLast in which dax_apdb looks for each of these objects."""
        return dict(self._connection.read_in(_MAP, sorted(set(diaObjectId))))
