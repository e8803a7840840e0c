"""Taking back what an earlier processing of a batch stored: rows that do not come again are withdrawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.cassandra.batch_rows import RowKeys, read_row_keys
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.plan_rows import partitioned
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.rows_of_objects import RowsOfObjects
from stream_assoc.stores.apdb.rows.withdrawal import FORCED_SOURCES, SOURCES, TakenBack, Withdrawable

_COLUMNS: Final = ("visit", "detector", "timeWithdrawnMjdTai", "diaObjectId")
_WRITTEN_BY_OTHERS: Final = {
    SOURCES: ("visit", "diaObjectId", "ssObjectId", "ssObjectReassocTimeMjdTai", "timeWithdrawnMjdTai"),
    FORCED_SOURCES: ("midpointMjdTai", "timeWithdrawnMjdTai"),
}
"""Columns that each of dax_apdb's programs that writes a row writes some of."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier processing of a batch stored in one table.

    Attributes
    ----------
    keys : `RowKeys`
        Of all rows, withdrawn ones too.
    taken : `TakenBack`
        What becomes of those that count so far, and of those that come again.
    last_written : `int`
        When a row was written last, by whomever, microseconds; 0 if there is none.
    """

    keys: RowKeys
    taken: TakenBack
    last_written: int

    @property
    def withdrawn(self) -> IntArray:
        """Identifiers of the rows that do not come again, ascending."""
        return np.sort(np.array([row[0] for row in self.taken.withdrawn], np.int64))


def read_earlier(
    connection: Connection, rows: RowsOfObjects, change: BatchChanges, now: dict[str, RowKeys]
) -> dict[Withdrawable, Earlier]:
    """Return what earlier processings of a batch stored.

    Parameters
    ----------
    connection : `Connection`
    rows : `RowsOfObjects`
    change : `BatchChanges`
        The processing that takes their place.
    now : `dict` [`str`, `RowKeys`]
        The keys of its rows, by table.
    """
    batch = change.entry.id
    return {table: _read(connection, rows, table, batch, now[table.table]) for table in (SOURCES, FORCED_SOURCES)}


def _read(connection: Connection, rows: RowsOfObjects, table: Withdrawable, batch: BatchId, now: RowKeys) -> Earlier:
    columns, times_of = (*_COLUMNS, table.key, *table.columns), _WRITTEN_BY_OTHERS[table]
    found = rows.of_batch(table.table, batch, columns, times_of)
    times = [time for row in found for time in row[len(columns) :] if time is not None]
    stored = [(row[2], row[4], row[3], *row[5 : len(columns)]) for row in found]
    again = frozenset(now.identifiers.tolist())
    replaced = [row[1:] for row in stored if row[1] in again]
    withdrawn = [row[1:] for row in stored if row[1] not in again and row[0] is None]
    keys = read_row_keys(connection, batch, table.table)
    return Earlier(keys, TakenBack((), replaced, withdrawn), max(times, default=0))


def taken_back(
    table: Withdrawable, earlier: Earlier, now: RowKeys, change: BatchChanges, places: Places
) -> Iterator[Change]:
    """Yield the withdrawal of what does not come again, and the deletion of what comes again at another place."""
    keys = earlier.keys
    rows = _placed(table, keys.of(earlier.withdrawn), change.entry.id)
    time = change.entry.timeProcessedMjdTai
    marked = rows.append_column("timeWithdrawnMjdTai", pa.array(np.full(rows.num_rows, time)))
    yield from partitioned(table.table, marked, places, is_stored=True)
    is_again = np.isin(keys.identifiers, now.identifiers)
    at = np.searchsorted(now.identifiers, keys.identifiers[is_again])
    has_moved = (keys.parts[is_again] != now.parts[at]) | (keys.time_parts[is_again] != now.time_parts[at])
    moved = keys.of(keys.identifiers[is_again][has_moved])
    rows = _placed(table, moved, change.entry.id)
    yield from partitioned(table.table, rows, places, deletes=True, is_stored=True)


def key_columns(table: Withdrawable, identifiers: IntArray, batch: BatchId) -> pa.Table:
    """Return the primary keys of rows of a batch, as an SQL database has them."""
    columns: dict[str, Any] = {table.key: identifiers}
    if table is FORCED_SOURCES:
        columns["visit"] = np.full(len(identifiers), batch.visit, np.int64)
        columns["detector"] = pa.array(np.full(len(identifiers), batch.detector), pa.int16())
    return pa.table(columns)


def _placed(table: Withdrawable, keys: RowKeys, batch: BatchId) -> pa.Table:
    rows = key_columns(table, keys.identifiers, batch)
    rows = rows.append_column("apdb_part", pa.array(keys.parts))
    return rows.append_column("apdb_time_part", pa.array(keys.time_parts))
