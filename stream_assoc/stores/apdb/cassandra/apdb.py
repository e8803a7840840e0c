"""The APDB on Cassandra: sessions, the outbox, and the notes of daemons."""

import contextlib
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.pipeline.ports.in_hand import InHand
from stream_assoc.pipeline.ports.outbox import OutboxEntry, WaitingEntry
from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.stores.apdb.cassandra.adoption import Adoption
from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.claims import Claims
from stream_assoc.stores.apdb.cassandra.clocks import ServerClock
from stream_assoc.stores.apdb.cassandra.compatibility import (
    check_room,
    check_tables_stay,
    layout_of,
    read_layout,
    read_notes,
    read_report,
)
from stream_assoc.stores.apdb.cassandra.database import Database
from stream_assoc.stores.apdb.cassandra.groups import Groups, State
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.notices import Notices
from stream_assoc.stores.apdb.cassandra.outbox import Outbox
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.plans import Plans
from stream_assoc.stores.apdb.cassandra.renewal import Renewal
from stream_assoc.stores.apdb.cassandra.replica_holds import ReplicaHolds
from stream_assoc.stores.apdb.cassandra.rows_of_objects import RowsOfObjects
from stream_assoc.stores.apdb.cassandra.session import CassandraSession
from stream_assoc.stores.apdb.cassandra.source_claims import SourceClaims
from stream_assoc.stores.apdb.cassandra.tables import IN_HAND, LEDGER, OUTBOX
from stream_assoc.stores.apdb.cassandra.unlocked_reader import UnlockedReader
from stream_assoc.stores.apdb.cassandra.update_log import UpdateLog
from stream_assoc.stores.apdb.notes import cell_level_of, check_unchanged
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.tables import IN_HAND_COLUMNS, quoted

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl

log = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 10.0
"""How long a daemon may show no sign of life before others abort what it has not committed.

All daemons must agree on it. One that is suspended for longer loses its cells, and only then.
"""

COUNTED_TABLES: Final = ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource")
"""Tables of dax_apdb that `Apdb.count_rows` reports on."""


class CassandraApdb:
    """`Apdb` on a ring of Cassandra nodes.

    Parameters
    ----------
    url : `CassandraUrl`
        Where it is; made by `stream_assoc.stores.apdb.create.init`.
    tile_level : `int`
        HTM level of the tiles.
    flag_columns : sequence of `str`
        DiaSource flags any of which makes a source count as flagged.
    replication : `Replication`
        How rows are noted for replicas, where the database has been made for any.
    patience : `Patience`
        How long to wait for the ring, and for cells that others hold.

    Raises
    ------
    ApdbSchemaError
        If the keyspace holds no APDB prepared for this package.
    ApdbUnavailableError
        If too few nodes answer, or this client's clock is not theirs.
    """

    def __init__(
        self,
        url: "CassandraUrl",
        *,
        tile_level: int,
        flag_columns: Sequence[str],
        patience: Patience,
        replication: Replication,
    ) -> None:
        self._connection = connection = url.connect(patience)
        try:
            self.report = read_report(connection)
            layout = read_layout(connection)
            self._notes = read_notes(connection)
            self._clock = ServerClock(connection)
            self._clock.check()
        except BaseException:
            connection.close()
            raise
        groups = Groups(connection)
        claims, applier = Claims(connection, groups), Applier(connection, groups)
        cell_level = cell_level_of(self.report.partition)
        self._layout = layout
        places = Places.of(layout)
        leases = Leases(
            connection,
            groups,
            applier,
            tile_shift=2 * (tile_level - cell_level),
            patience_seconds=PATIENCE_SECONDS,
        )
        rows = RowsOfObjects(connection, places)
        log = UpdateLog(connection, layout.n_subchunks, replication.now) if layout.replication else None
        self._database = Database(
            connection,
            places,
            groups,
            claims,
            SourceClaims(connection, groups, leases),
            leases,
            Plans(connection),
            applier,
            Outbox(connection, claims),
            rows,
            Notices(connection, rows, log, tile_level=tile_level, cell_level=cell_level),
            tile_level=tile_level,
            cell_level=cell_level,
            flag_columns=tuple(flag_columns),
            lock_seconds=patience.lock_seconds,
            replication=replication if layout.replication else None,
            holds=ReplicaHolds(connection, applier, replication.now) if layout.replication else None,
            n_subchunks=layout.n_subchunks,
        )
        self._renewal = Renewal(groups, PATIENCE_SECONDS)
        self._adoption = Adoption(groups, leases, self._renewal)

    def expect_statistics(self, statistics: Collection[str]) -> None:
        """Return if the database has columns for all that will be stored. See `OpenApdb.expect_statistics`."""
        check_room(self._connection, self._layout, statistics)

    def announce_replication(self) -> None:
        """See `OpenApdb.announce_replication`: Cassandra has no triggers that judge what others note."""

    @contextlib.contextmanager
    def exclusive(self, cells: IntArray) -> Iterator[ApdbSession]:
        """Wait for, then hold, exclusive access to ``cells``. See `Apdb.exclusive`."""
        self._clock.check()
        is_open = False
        while not is_open:
            with self._holding(cells) as session:
                # What other programs have changed is stored by a session of its own, before the caller's.
                if not session.deal_with_notices():
                    is_open = True
                    yield session

    @contextlib.contextmanager
    def reading(self) -> Iterator[SessionReader]:
        """Read without a session. See `ApdbReaders.reading`.

        There is no one moment: each answer is of the time it is asked for. A tile's version is raised after its
        rows, so content that is kept under the version that was read *before* it is never taken for later content.
        Objects of a batch that is written meanwhile are left out where their versions are asked for.
        """
        self._check_unchanged()
        yield UnlockedReader(self._database)

    def outbox_entry(self, key: BatchRevision) -> OutboxEntry | None:
        """Return the unpublished outputs of one processing of a batch. See `Apdb.outbox_entry`."""
        owner = self._database.claims.owner(key)
        if owner is not None and owner.state is State.COMMITTED:
            self._database.leases.clear(owner.group_id)
        return self._database.outbox.entry(key)

    def unpublished(self) -> list[OutboxEntry]:
        """Return all outputs not known to be published, in the order they were stored."""
        self._finish()
        return [
            entry
            for key in self._database.outbox.batches()
            if (entry := self._database.outbox.entry(key)) is not None
        ]

    def waiting(self) -> list[WaitingEntry]:
        """Return what is in the outbox, without the outputs. See `Apdb.waiting`."""
        self._finish()
        return self._database.outbox.waiting()

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these batches that are in the outbox. See `Apdb.still_waiting`."""
        return self._database.outbox.still_waiting(keys)

    def mark_published(self, keys: Sequence[BatchRevision]) -> None:
        """Forget the outputs of these."""
        self._database.outbox.forget(keys)

    def sole_adopter(self) -> contextlib.AbstractContextManager[bool]:
        """Try to be the only one that adopts outputs. See `Apdb.sole_adopter`."""
        return self._adoption.attempt()

    def in_hand(self, partitions: Collection[tuple[str, int]]) -> list[InHand]:
        """Return what was last noted of these partitions. See `Apdb.in_hand`."""
        found = self._connection.read_each(
            f'SELECT {quoted(IN_HAND_COLUMNS)} FROM "{IN_HAND}" WHERE topic = ? AND partition = ?', partitions
        )
        return [InHand(*row) for rows in found for row in rows]

    def note_in_hand(self, notes: Sequence[InHand]) -> None:
        """Note what is taken up now. See `Apdb.note_in_hand`."""
        marks = ", ".join("?" * len(IN_HAND_COLUMNS))
        statement = f'INSERT INTO "{IN_HAND}" ({quoted(IN_HAND_COLUMNS)}) VALUES ({marks})'
        self._connection.write_each(statement, [astuple(note) for note in notes])

    def contains(self, batch: BatchId) -> bool:
        """Tell whether the ledger holds this batch."""
        return bool(self._database.claims.entries([batch]))

    def known_tiles(self) -> IntArray:
        """Return every tile that any batch has changed, sorted."""
        return np.array(self._database.leases.known_tiles(), np.int64)

    def count_rows(self) -> dict[str, int]:
        """Return the number of rows of each table; Cassandra reads them all for it."""
        counts = {name: self._count(name) for name in COUNTED_TABLES}
        keys = self._connection.read(f'SELECT visit, detector, revision FROM "{LEDGER}"')
        counts[LEDGER] = sum(self._database.claims.counts(BatchRevision(*key)) for key in keys)
        counts[OUTBOX] = len(self._database.outbox.batches())
        return counts

    def ping(self) -> None:
        """Return if a quorum answers. See `Apdb.ping`."""
        self._connection.read("SELECT value FROM metadata WHERE meta_part = 0 LIMIT 1")

    def close(self) -> None:
        """Release every connection."""
        self._connection.close()

    def _count(self, table: str) -> int:
        """Count the rows of a table, or of all its time partitions."""
        keyspace = self._connection.keyspace
        names = self._connection.read("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", keyspace)
        theirs = [name for (name,) in names if name == table or name.startswith(f"{table}_")]
        return sum(int(self._connection.read(f'SELECT count(*) FROM "{name}"')[0][0]) for name in theirs)

    @contextlib.contextmanager
    def _holding(self, cells: IntArray) -> Iterator[CassandraSession]:
        group_id = self._database.groups.begin(cells)
        with self._renewal.of(group_id):
            try:
                held = self._database.leases.take(group_id, cells.tolist(), self._database.lock_seconds)
                # With the cells held: whoever divides the sky anew notes it first, and then ends who holds any.
                self._check_unchanged()
                yield CassandraSession(self._database, group_id, held)
            finally:
                self._leave(group_id)

    def _check_unchanged(self) -> None:
        now = read_notes(self._connection)
        check_unchanged(self._notes, now)
        check_tables_stay(self._layout, layout_of(now))

    def _leave(self, group_id: uuid.UUID) -> None:
        """Give the cells back. If the ring is away, whoever wants them finishes or aborts the group in our place."""
        try:
            if self._database.leases.clear(group_id) is State.PREPARING:
                self._database.groups.abort(group_id)
                self._database.leases.clear(group_id)
        except ApdbUnavailableError as error:
            log.warning("cells stay taken until another session frees them", reason=str(error))

    def _finish(self) -> None:
        """Apply what daemons have committed and, it seems, will not apply any more, and let replicas come to it."""
        for group_id in self._database.applier.unfinished():
            self._database.leases.finish(group_id)
        if self._database.holds is not None:
            self._database.holds.release()
