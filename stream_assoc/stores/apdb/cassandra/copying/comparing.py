"""Comparing a copy, row for row, with what it should be."""

import datetime
import math
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from stream_assoc.stores.apdb.cassandra.connection import IN_AT_ONCE, Connection
from stream_assoc.stores.apdb.cassandra.plan_rows import PROCESSED
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.tables import PLACE
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.rows.tables import quoted

_KEYS: Final = "SELECT table_name, kind, position, column_name FROM system_schema.columns WHERE keyspace_name = ?"
_KINDS: Final = ("partition_key", "clustering")


class Comparison:
    """Reads rows by their primary keys, and tells which are not as they should be.

    Parameters
    ----------
    connection : `Connection`
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        columns = [row for row in connection.read(_KEYS, connection.keyspace) if row[1] in _KINDS]
        self._keys: dict[str, list[str]] = {}
        self._partitions: dict[str, list[str]] = {}
        for table, kind, _, name in sorted(columns, key=lambda row: (row[0], _KINDS.index(row[1]), row[2])):
            self._keys.setdefault(table, []).append(name)
            if kind == _KINDS[0]:
                self._partitions.setdefault(table, []).append(name)

    def partition_key(self, table: str) -> tuple[str, ...]:
        """Return what the partitions of a table are told apart by."""
        return tuple(self._partitions[table])

    def differences(self, change: Change) -> Iterator[str]:
        """Yield the rows that are not there, or have other values."""
        key = self._keys[change.table]
        names = change.rows.column_names
        at = [names.index(name) for name in key]
        expected = {
            tuple(_plain(row[place]) for place in at): tuple(map(_plain, row))
            for row in zip(*(values_of(column) for column in change.rows.columns), strict=True)
        }
        found = {tuple(_plain(row[place]) for place in at): row for row in self._read(change.table, names, expected)}
        for name, row in expected.items():
            if name not in found:
                yield f"{change.table} lacks the row {_shown(key, name)}"
            elif differing := [
                column
                for column, one, other in zip(names, row, map(_plain, found[name]), strict=True)
                if one != other and not _is_later(change.table, column, one, other)
            ]:
                yield f"{change.table}, {_shown(key, name)}: {', '.join(differing)}"

    def _read(self, table: str, names: Sequence[str], keys: Iterable[Row]) -> list[Row]:
        """Return the rows of these keys; those that differ in the last column only are asked for together."""
        *first, last = self._keys[table]
        condition = " AND ".join([*(f'"{name}" = ?' for name in first), f'"{last}" IN ?'])
        grouped: dict[Row, list[Any]] = {}
        for key in keys:
            grouped.setdefault(key[:-1], []).append(key[-1])
        asked = [
            (*prefix, lasts[begin : begin + IN_AT_ONCE])
            for prefix, lasts in grouped.items()
            for begin in range(0, len(lasts), IN_AT_ONCE)
        ]
        found = self._connection.read_each(f'SELECT {quoted(names)} FROM "{table}" WHERE {condition}', asked)
        return [row for rows in found for row in rows]


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as the driver returns it; NaN, which is stored as NULL, as `None`."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [None if value is None or math.isnan(value) else value for value in values]
    if pa.types.is_fixed_size_binary(column.type):
        return [uuid.UUID(bytes=value) for value in values]
    return values


def _is_later(table: str, column: str, expected: Any, stored: Any) -> bool:  # noqa: ANN401 - whatever the table holds
    """Tell whether another stretch of rows has noted a later time of the same place."""
    return (table, column) == (PLACE, PROCESSED) and stored is not None and (expected is None or stored > expected)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever the table holds
    """Return a value as both sides write it."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None)
    return value


def _shown(key: Sequence[str], values: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(key, values, strict=True))
