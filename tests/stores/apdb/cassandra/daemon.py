"""A daemon that stores items: the parts of the protocol, put together step by step."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.claims import Claims
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Commitment, Groups
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.plans import Change, Plans, encode
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE

ITEMS: Final = 'CREATE TABLE "Item" (item bigint PRIMARY KEY, history text, note text)'
PATIENCE_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 60.0
TILE_SHIFT: Final = 4

NEAR, FAR = 8 << 16, 8 << 16 | 1 << 10
"""Two cells of different regions."""
TILE: Final = NEAR << TILE_SHIFT | 5


def items(rows: Sequence[tuple[int, str, str | None]], *, overwrites: bool = True) -> Change:
    """Return rows of the table of items."""
    names, types = ("item", "history", "note"), (pa.int64(), pa.string(), pa.string())
    columns = zip(*rows, strict=True)
    table = pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names)
    return Change("Item", table, overwrites=overwrites)


def entry(batch: BatchRevision) -> LedgerEntry:
    """Return an entry of the ledger."""
    return LedgerEntry(BatchId(batch.visit, batch.detector), b"\x01" * 32, 60000.5, 1, 1, None, batch.revision)


class Daemon:
    """What a process has; its clock moves when the test says so, and at each look a little."""

    def __init__(
        self,
        hosts: Sequence[str],
        keyspace: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.now = 0.0
        self.connection = Connection(hosts, keyspace, DEFAULT_PATIENCE)
        self.groups = Groups(self.connection)
        self.claims = Claims(self.connection, self.groups)
        self.plans = Plans(self.connection)
        self.applier = Applier(self.connection, self.groups)
        self.leases = Leases(
            self.connection,
            self.groups,
            self.applier,
            tile_shift=TILE_SHIFT,
            patience_seconds=patience_seconds,
            monotonic=monotonic or self.monotonic,
        )

    def monotonic(self) -> float:
        """Return a time that passes only where it is asked for: a wait of a minute takes twenty looks."""
        self.now += 3.0
        return self.now

    def take(self, *cells: int) -> tuple[uuid.UUID, int]:
        """Take cells; return the group and the first timestamp that it may write at."""
        group_id = self.groups.begin(np.array(cells))
        taken = self.leases.take(group_id, cells, WAIT_SECONDS)
        return group_id, max(lease.last_timestamp for lease in taken.values()) + 1

    def commit(
        self,
        group_id: uuid.UUID,
        timestamp: int,
        changes: Iterable[Change],
        tiles: tuple[int, ...] = (TILE,),
        delta: int = 0,
    ) -> None:
        """Write the plan of a group, and commit it."""
        plan = encode(list(changes))
        self.plans.write(group_id, plan)
        self.applier.announce(group_id)
        batch = BatchRevision(timestamp, 0, 0)
        self.groups.commit(group_id, Commitment(timestamp, len(plan.chunks), plan.digest, tiles, batch, delta))

    def finish(self, group_id: uuid.UUID) -> None:
        """Apply a committed group, and free its cells."""
        self.leases.clear(group_id)

    def add(self, item: int, name: str, *cells: int) -> None:
        """Store one batch: add a name to the history of an item."""
        group_id, timestamp = self.take(*cells)
        history = (self.item(item) or ("",))[0] + name
        self.commit(group_id, timestamp, [items([(item, history, None)])])
        self.finish(group_id)

    def item(self, item: int) -> tuple[str, str | None] | None:
        """Return history and note of an item."""
        rows = self.connection.read('SELECT history, note FROM "Item" WHERE item = ?', item)
        return rows[0] if rows else None
