"""Rows of DiaObject, DiaSource and DiaForcedSource by partition, and by the id that comes first in it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stream_assoc.stores.apdb.cassandra.connection import IN_AT_ONCE, Connection
from stream_assoc.stores.apdb.cassandra.places import Partition, Places
from stream_assoc.stores.apdb.cassandra.tables import PLACE
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.rows.tables import quoted

_FIRST: Final = {"DiaObject": "diaObjectId", "DiaSource": "diaSourceId", "DiaForcedSource": "diaObjectId"}
_PLACES: Final = (
    f'SELECT "diaObjectId", apdb_part, apdb_time_part FROM "{PLACE}" WHERE "diaObjectId" IN ? AND kind = ?'
)


class KeyedRows:
    """Reads rows whose place is known.

    Parameters
    ----------
    connection : `Connection`
    places : `Places`
    """

    def __init__(self, connection: Connection, places: Places) -> None:
        self._connection = connection
        self._places = places

    def places(self, kind: str, diaObjectId: Iterable[int]) -> dict[int, list[Partition]]:
        """Return the partitions in which rows of these objects are, the latest time first.

        Objects that have none are left out: there are none of them, or dax_apdb itself has stored them.
        """
        found: dict[int, list[Partition]] = {}
        for identifier, *partition in self._connection.read_in(_PLACES, list(diaObjectId), kind):
            if self._places.has_table(partition[1]):
                found.setdefault(identifier, []).append((partition[0], partition[1]))
        return {one: sorted(partitions, key=lambda place: (-place[1], place[0])) for one, partitions in found.items()}

    def read(self, kind: str, keys: Iterable[tuple[Partition, int]], columns: Sequence[str]) -> list[Row]:
        """Return all rows of these ids in these partitions, in any order.

        Parameters
        ----------
        kind : `str`
            ``DiaObject``, ``DiaSource`` or ``DiaForcedSource``.
        keys : iterable of `tuple` [`Partition`, `int`]
            A partition and an id in it: diaSourceId of DiaSource, else diaObjectId.
        columns : sequence of `str`
        """
        by_partition: dict[Partition, set[int]] = {}
        for partition, identifier in keys:
            by_partition.setdefault(partition, set()).add(identifier)
        found: list[Row] = []
        for time_part, parts in self._places.by_time_part(by_partition).items():
            condition = f'apdb_part = ? AND "{_FIRST[kind]}" IN ?'
            statement, last = self._statement(kind, time_part, columns, condition)
            asked = [(part, sorted(by_partition[part, time_part]), *last) for part in parts]
            found += [row for rows in self._connection.read_each(statement, asked) for row in rows]
        return found

    def pages(self, kind: str, partitions: Iterable[Partition], columns: Sequence[str]) -> Iterator[list[Row]]:
        """Yield all rows of these partitions, a page at a time and in any order."""
        for time_part, parts in self._places.by_time_part(sorted(partitions)).items():
            statement, last = self._statement(kind, time_part, columns, "apdb_part IN ?")
            some = [(parts[begin : begin + IN_AT_ONCE], *last) for begin in range(0, len(parts), IN_AT_ONCE)]
            yield from self._connection.pages(statement, some)

    def _statement(
        self, kind: str, time_part: int, columns: Sequence[str], condition: str
    ) -> tuple[str, tuple[int, ...]]:
        """Return what reads rows of a time partition, and the parameters that follow those of the condition."""
        statement = f'SELECT {quoted(columns)} FROM "{self._places.table(kind, time_part)}" WHERE {condition}'
        return (
            (statement, ()) if self._places.has_time_tables else (f"{statement} AND apdb_time_part = ?", (time_part,))
        )
