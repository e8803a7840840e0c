"""One exclusive session on Cassandra: a group that prepares, and its commit."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.stores.apdb.cassandra.database import Database
from stream_assoc.stores.apdb.cassandra.groups import Commitment
from stream_assoc.stores.apdb.cassandra.leases import Lease
from stream_assoc.stores.apdb.cassandra.notices import Notice
from stream_assoc.stores.apdb.cassandra.noticing import forgotten, noticed
from stream_assoc.stores.apdb.cassandra.outbox import outbox_rows
from stream_assoc.stores.apdb.cassandra.planner import Planner, check_values
from stream_assoc.stores.apdb.cassandra.plans import Change, encode
from stream_assoc.stores.apdb.cassandra.session_reader import CassandraSessionReader
from stream_assoc.stores.apdb.cassandra.tables import CHECKPOINT
from stream_assoc.stores.apdb.rows.written import StoreRows, checkpoint_rows, int_column, store_rows


class CassandraSession(CassandraSessionReader):
    """`ApdbSession` of one group.

    Parameters
    ----------
    database : `Database`
    group_id : `uuid.UUID`
        The group, which prepares.
    held : `dict` [`int`, `Lease`]
        Its cells, as their last holders have left them.
    """

    def __init__(self, database: Database, group_id: uuid.UUID, held: dict[int, Lease]) -> None:
        super().__init__(database)
        self._planner = Planner(database)
        self._group_id = group_id
        self._held = held
        self.is_committed = False

    def deal_with_notices(self) -> bool:
        """Store what other programs have changed, if they have; tell whether the session is over for that."""
        notices = [one for one in self._database.notices.of(self._held) if not one.is_noticed]
        if notices:
            dealt = noticed(self._database, notices)
            timestamp = self._timestamp()
            self._commit(dealt.changes, timestamp, dealt.tiles, None, dealt.single_source_delta)
        return bool(notices)

    def prepare(self, diaObjectId: IntArray, validityEndMjdTai: FloatArray) -> None:
        """See `ApdbSession.prepare`; ignored."""

    def commit(self, changes: Sequence[BatchChanges]) -> IntArray:
        """See `ApdbSession.commit`."""
        if self.is_committed:
            raise FencedError("a session commits once")
        rows = store_rows(changes)
        check_values(rows)
        notices = self._seen_notices()
        self._hold_too(rows)
        for change in sorted(changes, key=lambda one: one.entry.key):
            self._database.claims.claim(change.entry, self._group_id)
        sources = np.concatenate([int_column(change.dia_sources, "diaSourceId") for change in changes])
        self._database.source_claims.claim(sources, self._group_id)
        planned = self._planner.plan(changes, rows)
        timestamp = self._timestamp(planned.last_written)
        renewed = frozenset(rows.superseded.tolist())
        everything = [
            *planned.changes,
            *outbox_rows(changes, timestamp),
            forgotten(one for one in notices if one.diaObjectId in renewed),
        ]
        tiles, last_batch = tuple(rows.tiles.tolist()), changes[-1].entry.key
        self._commit(everything, timestamp, tiles, last_batch, rows.delta, planned.replica_chunk)
        self._database.source_claims.release(sources, self._group_id)
        return self._versions(rows.tiles)

    def keep(self, checkpoints: Checkpoints) -> None:
        """See `ApdbSession.keep`."""
        self._seen_notices()
        timestamp = self._timestamp()
        self._database.leases.hold(self._group_id, self._held, timestamp)
        self._held = {cell: replace(lease, last_timestamp=timestamp) for cell, lease in self._held.items()}
        # Later than all before it, and outdated for whoever holds the cells next, however late it arrives.
        rows = Change(CHECKPOINT, checkpoint_rows(checkpoints), overwrites=True)
        self._database.applier.write(self._database.applier.requests([rows], timestamp))

    def _seen_notices(self) -> list[Notice]:
        """Return the notices of the held cells, if no program has changed anything since the session has read it."""
        notices = self._database.notices.of(self._held)
        changed = {one.tile for one in notices if not one.is_noticed}
        versions = self._seen.versions.items()
        self._seen.check({tile: version + (tile in changed) for tile, version in versions})
        return notices

    def _commit(
        self,
        planned: Sequence[Change],
        timestamp: int,
        tiles: tuple[int, ...],
        last_batch: BatchRevision | None,
        single_source_delta: int,
        replica_chunk: int | None = None,
    ) -> None:
        requests = self._database.applier.requests(planned, timestamp)
        plan = encode(planned)
        self._database.plans.write(self._group_id, plan)
        self._database.applier.announce(self._group_id, replica_chunk)
        if self._database.holds is not None and replica_chunk is not None:
            self._database.holds.hold(replica_chunk)
        self._planner.check_time()
        commitment = Commitment(timestamp, len(plan.chunks), plan.digest, tiles, last_batch, single_source_delta)
        self._database.groups.commit(self._group_id, commitment)
        self.is_committed = True
        self._database.applier.apply_requests(self._group_id, requests)

    def _versions(self, tiles: IntArray) -> IntArray:
        """Return the versions that these tiles have once the cells are freed."""
        before = (self._held[tile >> self._database.tile_shift].tile_versions.get(tile, 0) for tile in tiles.tolist())
        return np.fromiter(before, np.int64, len(tiles)) + 1

    def _leases_of(self, cells: Sequence[int]) -> dict[int, Lease]:
        others = [cell for cell in cells if cell not in self._held]
        return self._held | (self._database.leases.read(others) if others else {})

    def _hold_too(self, rows: StoreRows) -> None:
        """Take the cells that the plan changes and the session does not hold, such as those that objects move to."""
        needed = set((rows.tiles >> self._database.tile_shift).tolist())
        last = rows.tables.get("DiaObjectLast")
        if last is not None:
            ra, dec = (np.asarray(last.column(name).to_numpy(), np.float64) for name in ("ra", "dec"))
            needed |= set(np.unique(htm_index(ra, dec, self._database.cell_level)).tolist())
        if further := sorted(needed - set(self._held)):
            self._database.groups.extend(self._group_id, sorted({*self._held, *further}))
            # Cells are waited for in ascending order. Who has them may wait for ours: then both are tried again.
            in_order = further[0] > max(self._held, default=-1)
            wait_seconds = self._database.lock_seconds if in_order else 0.0
            self._held |= self._database.leases.take(self._group_id, further, wait_seconds)

    def _timestamp(self, last_written: int = 0) -> int:
        """Return a timestamp above those of all that came before in these cells, whoever wrote it."""
        last = [lease.last_timestamp for lease in self._held.values()]
        return max(time_now(), *(one + 1 for one in (*last, last_written)))


def time_now() -> int:
    """Return this client's time as Cassandra writes it, microseconds."""
    return time.time_ns() // 1000
