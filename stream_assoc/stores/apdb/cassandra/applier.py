"""Applying plans: what follows a commit, done by its daemon or by whoever comes next."""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import pyarrow as pa
from cassandra.query import UNSET_VALUE

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Group, Groups
from stream_assoc.stores.apdb.cassandra.plans import Change, Plans
from stream_assoc.stores.apdb.cassandra.requests import Request, Write
from stream_assoc.stores.apdb.cassandra.tables import N_SHARDS, UNFINISHED
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError

APPLYING_SECONDS: Final = 3600.0
"""How long one application may take: far below every table's gc_grace, after which deleted rows could come back."""

STRETCH: Final = 1024
"""Requests between two looks at the clock."""


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

    def announce(self, group_id: uuid.UUID, replica_chunk: int | None = None) -> None:
        """Note, before its commit, that a group may need somebody to apply it, and into which replica chunk."""
        self._connection.write(
            f'INSERT INTO "{UNFINISHED}" (shard, group_id, apdb_replica_chunk) VALUES (?, ?, ?)',
            *(shard_of(group_id), group_id, replica_chunk),
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
        return self._connection.requests(write_of(change, timestamp) for change in changes if change.rows.num_rows)

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

    def unfinished(self) -> dict[uuid.UUID, int | None]:
        """Return every group that may be committed and not applied, and perhaps others, with their replica chunks."""
        answers = self._connection.read_each(
            f'SELECT group_id, apdb_replica_chunk FROM "{UNFINISHED}" WHERE shard = ?',
            [(shard,) for shard in range(N_SHARDS)],
        )
        return {group_id: chunk for rows in answers for group_id, chunk in rows}


def shard_of(group_id: uuid.UUID) -> int:
    """Return the partition of a table that is read as a whole in which a group is noted."""
    return group_id.int % N_SHARDS


def write_of(change: Change, timestamp: int) -> Write:
    """Return what writes the rows of a change, all at one timestamp."""
    names, columns = change.rows.column_names, tuple(change.rows.columns)
    times = pa.chunked_array([pa.repeat(pa.scalar(timestamp, pa.int64()), change.rows.num_rows)])
    if change.deletes:
        condition = " AND ".join(f'"{name}" = ?' for name in names)
        return Write(f'DELETE FROM "{change.table}" USING TIMESTAMP ? WHERE {condition}', (times, *columns))
    listed, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    statement = f'INSERT INTO "{change.table}" ({listed}) VALUES ({marks}) USING TIMESTAMP ?'
    return Write(statement, (*columns, times), None if change.overwrites else UNSET_VALUE)
