"""Applying plans: what follows a commit, done by its daemon or by whoever comes next."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
from cassandra.query import UNSET_VALUE

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Group, Groups
from stream_assoc.stores.apdb.cassandra.plans import Change, Plans
from stream_assoc.stores.apdb.cassandra.requests import Request
from stream_assoc.stores.apdb.cassandra.tables import N_SHARDS, UNFINISHED
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError

APPLYING_SECONDS: Final = 3600.0
"""How long one application may take: far below every table's gc_grace, after which deleted rows could come back."""

STRETCH: Final = 1024
"""Requests between two looks at the clock."""

Statement = tuple[str, Sequence[object]]


class Applier:
    """Writes the rows of committed groups, all at the timestamp of the commit.

    Parameters
    ----------
    connection : `Connection`
    groups : `Groups`
    monotonic : callable
        A clock that never goes back, seconds.
    """

    def __init__(
        self, connection: Connection, groups: Groups, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._groups = groups
        self._plans = Plans(connection)
        self._monotonic = monotonic

    def announce(self, group_id: uuid.UUID) -> None:
        """Note, before its commit, that a group may need somebody to apply it."""
        self._connection.write(
            f'INSERT INTO "{UNFINISHED}" (shard, group_id) VALUES (?, ?)', shard_of(group_id), group_id
        )

    def apply(self, group: Group) -> None:
        """Write the plan of a committed group, and note that it is applied. May be done again and side by side.

        Raises
        ------
        ApdbUnavailableError
            If the ring is away, or this took too long; whoever comes next begins anew.
        """
        commitment = group.commitment
        if commitment is None:
            raise ApdbDamagedError(f"the group {group.group_id} is {group.state} without a timestamp")
        changes = self._plans.read(group.group_id, commitment.n_chunks, commitment.digest)
        self.apply_requests(group.group_id, self.requests(changes, commitment.timestamp))

    def requests(self, changes: Iterable[Change], timestamp: int) -> list[Request]:
        """Return what writes these rows at a timestamp; see `Connection.requests`.

        Made before the commit, for rows that cannot be written must not be committed.
        """
        return self._connection.requests(one for change in changes for one in statements_of(change, timestamp))

    def apply_requests(self, group_id: uuid.UUID, requests: Sequence[Request]) -> None:
        """Write the rows of a committed group; see `apply`."""
        self.write(requests)
        self._groups.mark_applied(group_id)
        self.forget(group_id)

    def write(self, requests: Sequence[Request]) -> None:
        """Write rows.

        Raises
        ------
        ApdbUnavailableError
            If the ring is away, or this took too long.
        """
        deadline = self._monotonic() + APPLYING_SECONDS
        for begin in range(0, len(requests), STRETCH):
            if self._monotonic() > deadline:
                raise ApdbUnavailableError(f"{len(requests)} requests were not sent within {APPLYING_SECONDS:g} s")
            self._connection.send(requests[begin : begin + STRETCH])

    def forget(self, group_id: uuid.UUID) -> None:
        """Note that nobody needs to apply this group, any more or ever."""
        self._connection.write(
            f'DELETE FROM "{UNFINISHED}" WHERE shard = ? AND group_id = ?', shard_of(group_id), group_id
        )

    def unfinished(self) -> list[uuid.UUID]:
        """Return every group that may be committed and not applied, and perhaps others."""
        answers = self._connection.read_each(
            f'SELECT group_id FROM "{UNFINISHED}" WHERE shard = ?', [(shard,) for shard in range(N_SHARDS)]
        )
        return [group_id for rows in answers for (group_id,) in rows]


def shard_of(group_id: uuid.UUID) -> int:
    """Return the partition of a table that is read as a whole in which a group is noted."""
    return group_id.int % N_SHARDS


def statements_of(change: Change, timestamp: int) -> Iterator[Statement]:
    """Yield a statement for each row of a change, all at one timestamp."""
    names = change.rows.column_names
    if change.deletes:
        condition = " AND ".join(f'"{name}" = ?' for name in names)
        statement = f'DELETE FROM "{change.table}" USING TIMESTAMP ? WHERE {condition}'
        for row in _rows(change.rows):
            yield statement, (timestamp, *row)
        return
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    statement = f'INSERT INTO "{change.table}" ({columns}) VALUES ({marks}) USING TIMESTAMP ?'
    for row in _rows(change.rows):
        values = row if change.overwrites else [UNSET_VALUE if value is None else value for value in row]
        yield statement, (*values, timestamp)


def _rows(table: pa.Table) -> Iterator[Sequence[Any]]:
    return zip(*(_values(column) for column in table.columns), strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        # dax_apdb stores NaN as NULL.
        return [None if value is None or value != value else value for value in values]  # noqa: PLR0124
    if pa.types.is_fixed_size_binary(column.type):
        return [uuid.UUID(bytes=value) for value in values]
    return values
