"""Reading rows of DiaSource and DiaForcedSource by what they belong to."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.stores.apdb.cassandra.batch_rows import read_row_keys
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.places import Partition, Places
from stream_assoc.stores.apdb.cassandra.tables import PLACE
from stream_assoc.stores.apdb.rows.tables import quoted

_PLACES = (
    f'SELECT apdb_part, apdb_time_part, "diaObjectId", "timeProcessedMjdTai" FROM "{PLACE}" '
    'WHERE "diaObjectId" IN ? AND kind = ?'
)


class RowsOfObjects:
    """Reads whole partitions, and chooses: rows of neighbours that are asked for too are read once.

    Parameters
    ----------
    connection : `Connection`
    places : `Places`
    """

    def __init__(self, connection: Connection, places: Places) -> None:
        self._connection = connection
        self._places = places

    def of_objects(
        self, kind: str, diaObjectId: IntArray, columns: Sequence[str], after: FloatArray | None = None
    ) -> list[tuple[Any, ...]]:
        """Return rows of these objects, withdrawn ones too, in any order.

        Parameters
        ----------
        kind : `str`
            ``DiaSource`` or ``DiaForcedSource``.
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
        columns : sequence of `str`
            The first is diaObjectId.
        after : `numpy.ndarray` [float64], shape (n,), optional
            Rows that were processed until then, MJD TAI, may be left out: partitions without later ones are not read.
        """
        ids = diaObjectId.tolist()
        begin = dict.fromkeys(ids, -math.inf) if after is None else dict(zip(ids, after.tolist(), strict=True))
        partitions = {
            (part, time_part)
            for part, time_part, identifier, processed in self._connection.read_in(_PLACES, list(begin), kind)
            if processed is None or processed > begin[identifier]
        }
        return [row for row in self.in_partitions(kind, partitions, columns) if row[0] in begin]

    def of_batch(
        self, kind: str, batch: BatchId, columns: Sequence[str], times_of: Sequence[str] = ()
    ) -> list[tuple[Any, ...]]:
        """Return rows of a visit and detector, withdrawn ones too, in any order; the first columns are these two."""
        partitions = read_row_keys(self._connection, batch, kind).partitions
        return [row for row in self.in_partitions(kind, partitions, columns, times_of) if row[:2] == batch]

    def in_partitions(
        self, kind: str, partitions: Iterable[Partition], columns: Sequence[str], times_of: Sequence[str] = ()
    ) -> list[tuple[Any, ...]]:
        """Return every row of these partitions, as far as their tables are there.

        Parameters
        ----------
        kind : `str`
            ``DiaSource`` or ``DiaForcedSource``.
        partitions : iterable of `Partition`
        columns : sequence of `str`
        times_of : sequence of `str`, optional
            Columns whose WRITETIME follows, microseconds; `None` where a row has no value.
        """
        selected = ", ".join([quoted(columns), *(f'WRITETIME("{name}")' for name in times_of)])
        found: list[tuple[Any, ...]] = []
        for time_part, parts in self._places.by_time_part(partitions).items():
            table = self._places.table(kind, time_part)
            statement = f'SELECT {selected} FROM "{table}" WHERE apdb_part IN ?'
            if self._places.has_time_tables:
                found += self._connection.read_in(statement, parts)
            else:
                found += self._connection.read_in(f"{statement} AND apdb_time_part = ?", parts, time_part)
        return found
