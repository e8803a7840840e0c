"""The APDB in PostgreSQL: advisory locks on cells, binary COPY."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any, Final, TypeAlias

import numpy as np
import psycopg

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.in_hand import InHand
from stream_assoc.pipeline.ports.outbox import OutboxEntry, WaitingEntry
from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.stores.apdb.columns import check_columns
from stream_assoc.stores.apdb.notes import NOTES, check_unchanged, tile_level_of
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.pool import ConnectionPool
from stream_assoc.stores.apdb.postgresql.catalogue import read_catalogue
from stream_assoc.stores.apdb.postgresql.clocks import seconds_ahead
from stream_assoc.stores.apdb.postgresql.connection import BoundedConnection, Connector, translated
from stream_assoc.stores.apdb.postgresql.continuity import Continuity
from stream_assoc.stores.apdb.postgresql.locks import LockTable, lock_cells, room_for, unlock_cells
from stream_assoc.stores.apdb.postgresql.session import BACKEND_QUERY, PostgresqlSession
from stream_assoc.stores.apdb.postgresql.session_reader import PostgresqlSessionReader
from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING, PostgresqlTriggers
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION, Replication
from stream_assoc.stores.apdb.rows.chunks import COMMIT_SECONDS
from stream_assoc.stores.apdb.rows.entries import outbox_entry, waiting_entry
from stream_assoc.stores.apdb.rows.tables import (
    COUNTED_TABLES,
    IN_HAND,
    IN_HAND_COLUMNS,
    LEDGER,
    OUTBOX,
    TILE,
    quoted,
)
from stream_assoc.stores.apdb.sql.compatibility import check_compatible
from stream_assoc.stores.apdb.sql.other_records import NOTE_LAG
from stream_assoc.stores.apdb.sql.other_writers import check_triggers, pixel_shift
from stream_assoc.stores.apdb.sql.statements import NOTE_IN_HAND, WAITING_COLUMNS, point_expressions

Connection: TypeAlias = BoundedConnection

# One statement is one transaction, and its commit does not wait.
_NOTE_IN_HAND: Final = f"""
    WITH hurry AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO {{{IN_HAND}}} ({quoted(IN_HAND_COLUMNS)})
    SELECT note.* FROM hurry, unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::bool[]) AS note
    {NOTE_IN_HAND}
"""
_NOTES_QUERY: Final = "SELECT name, value FROM {metadata} WHERE name = ANY(%s)"
_ADOPTION: Final = 0
"""An advisory lock's second key that is no cell: HTM indices begin at 8."""

_OUTBOX_JOIN: Final = f"{{{OUTBOX}}} o JOIN {{{LEDGER}}} l USING (visit, detector, revision)"
_ASKED: Final = "unnest(%s::bigint[], %s::smallint[], %s::smallint[]) AS b(visit, detector, revision)"

_SESSION_SETTINGS: Final = {
    # Every statement of a session is a lookup by key. Until the first ANALYZE
    # the planner takes the tables for tiny and would read them whole.
    "enable_seqscan": "off",
    "jit": "off",
    # Results are aggregated in the order of a subquery, which parallel workers would not keep.
    "max_parallel_workers_per_gather": "0",
    # A batch raises versions itself, once a tile.
    BATCH_SETTING: "on",
    # A replica chunk may be copied if COMMIT does not follow its choice soon.
    "idle_in_transaction_session_timeout": f"{COMMIT_SECONDS:g}s",
}


class PostgresqlApdb:
    """`Apdb` in PostgreSQL.

    `exclusive` takes session-level advisory locks, one a cell, on the very
    connection that then reads and writes: whoever loses the lock has lost the
    transaction too. A pooler that shares sessions breaks that and is refused
    (`stream_assoc.stores.apdb.postgresql.poolers`).

    Parameters
    ----------
    conninfo : `str`
        libpq connection string or URL.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables; else the first of the search path that does.
    tile_level : `int`
        HTM level of the tiles.
    flag_columns : sequence of `str`
        DiaSource flags any of which makes a source count as flagged.
    replication : `Replication`
        How rows are noted for replicas, where the database has been made for any.
    patience : `Patience`
        How long to wait for the server, and for cells that others hold.

    Raises
    ------
    ApdbSchemaError
        If the database is no APDB prepared for this package.
    ApdbUnavailableError
        If the server cannot be reached now.
    """

    def __init__(
        self,
        conninfo: str,
        namespace: str | None = None,
        *,
        tile_level: int = 10,
        flag_columns: Sequence[str] = (),
        replication: Replication = DEFAULT_REPLICATION,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self._connector = Connector(conninfo, _SESSION_SETTINGS, patience)
        self._idle_seconds = patience.idle_seconds
        self._tile_level = tile_level
        self._points = point_expressions(flag_columns, "strpos")
        self._continuity = Continuity()
        self._pool = ConnectionPool(self._connect)
        with self._connection() as connection:
            catalogue = read_catalogue(connection, namespace)
            self._lock_class = catalogue.schema.lock_class
            self.lock_table = LockTable.of(connection)
            ahead = seconds_ahead(connection)
            self._names, self._columns = catalogue.names, catalogue.columns
            metadata = (
                dict(self._rows(connection, "SELECT name, value FROM {metadata}"))
                if ("metadata" in self._columns)
                else {}
            )
        # A database made from another as its template holds the other's identity too.
        copy = f"{catalogue.schema.database}.{catalogue.schema.oid}"
        report = check_compatible(metadata, self._columns).of_copy(copy)
        self.report = replace(report, lock_table_size=self.lock_table.size, seconds_ahead=ahead)
        self._notes = metadata
        self.expect_statistics(())
        with self._connection() as connection:
            triggers = PostgresqlTriggers(connection, catalogue.schema, self._names)
            check_triggers(triggers.lacking(pixel_shift(tile_level_of(report.partition))))
        self._replication = replication if self.report.replication else None

    def expect_statistics(self, statistics: Collection[str]) -> None:
        """Return if the database has columns for all that will be stored. See `OpenApdb.expect_statistics`."""
        columns = {table: [column.name for column in of_table] for table, of_table in self._columns.items()}
        check_columns(columns, statistics)

    def announce_replication(self) -> None:
        """Let triggers know how far replicas may lag. See `OpenApdb.announce_replication`."""
        if self._replication is not None:
            with self._connection() as connection:
                self._execute(connection, NOTE_LAG.format(mark="%s"), (self._replication.lag_seconds,))

    @contextmanager
    def exclusive(self, cells: IntArray) -> Iterator[ApdbSession]:
        """Wait for, then hold, exclusive access to ``cells``. See `Apdb.exclusive`.

        Raises
        ------
        ApdbUnavailableError
            If the cells were not free within the lock timeout, or the server is away.
        LocksExhaustedError
            If the server has no room for so many locks.
        """
        with self._connection() as connection:
            with room_for(cells, connection, self.lock_table), connection.pipeline():
                lock_cells(cells, connection, self._lock_class, self._idle_seconds)
                # Read once nobody can change it any more.
                notes = self._execute(connection, _NOTES_QUERY, (list(NOTES),))
                backend = self._execute(connection, BACKEND_QUERY, ())
            connection.check_backend(backend.fetchall()[0][0])
            check_unchanged(self._notes, dict(notes.fetchall()))
            session = PostgresqlSession(
                connection, self._names, self._columns, self._tile_level, self._points, self._replication
            )
            try:
                yield session
            finally:
                self._continuity.note(self._names[LEDGER], session.committed)
            session.abandon()
            with connection.pipeline():
                unlock_cells(connection)

    @contextmanager
    def reading(self) -> Iterator[SessionReader]:
        """Read as of one moment, and hold nothing. See `ApdbReaders.reading`."""
        with self._connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            check_unchanged(self._notes, dict(self._rows(connection, _NOTES_QUERY, (list(NOTES),))))
            yield PostgresqlSessionReader(connection, self._names, self._tile_level, self._points)

    def outbox_entry(self, key: BatchRevision) -> OutboxEntry | None:
        """Return the unpublished outputs of one processing of a batch. See `Apdb.outbox_entry`."""
        entries = self._outbox("WHERE o.visit = %s AND o.detector = %s AND o.revision = %s", key)
        return entries[0] if entries else None

    def unpublished(self) -> list[OutboxEntry]:
        """Return all outputs not known to be published, in the order they were stored."""
        return self._outbox("ORDER BY o.sequence", ())

    def waiting(self) -> list[WaitingEntry]:
        """Return what is in the outbox, without the outputs. See `Apdb.waiting`."""
        statement = f"SELECT {WAITING_COLUMNS} FROM {_OUTBOX_JOIN} ORDER BY o.sequence"
        with self._connection() as connection:
            return list(map(waiting_entry, self._rows(connection, statement)))

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these batches that are in the outbox. See `Apdb.still_waiting`."""
        with self._connection() as connection:
            rows = self._rows(
                connection,
                f"SELECT b.* FROM {{{OUTBOX}}} o JOIN {_ASKED} USING (visit, detector, revision)",
                _key_columns(keys),
            )
        return frozenset(BatchRevision(*row) for row in rows)

    @contextmanager
    def sole_adopter(self) -> Iterator[bool]:
        """Try to be the only one that adopts outputs. See `Apdb.sole_adopter`."""
        with self._connection() as connection:
            lock = (self._lock_class, _ADOPTION)
            ((is_sole,),) = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", lock).fetchall()
            yield is_sole
            if is_sole:
                connection.execute("SELECT pg_advisory_unlock(%s, %s)", lock)

    def mark_published(self, keys: Sequence[BatchRevision]) -> None:
        """Forget the outputs of these."""
        with self._connection() as connection:
            self._execute(
                connection,
                f"DELETE FROM {{{OUTBOX}}} o USING {_ASKED} "
                "WHERE o.visit = b.visit AND o.detector = b.detector AND o.revision = b.revision",
                _key_columns(keys),
            )

    def in_hand(self, partitions: Collection[tuple[str, int]]) -> list[InHand]:
        """Return what was last noted of these partitions. See `Apdb.in_hand`."""
        topics, numbers = [topic for topic, _ in partitions], [number for _, number in partitions]
        with self._connection() as connection:
            rows = self._rows(
                connection,
                f"SELECT {quoted(IN_HAND_COLUMNS)} FROM {{{IN_HAND}}} "
                "JOIN unnest(%s::text[], %s::int[]) AS asked(topic, partition) USING (topic, partition)",
                (topics, numbers),
            )
        return [InHand(*row) for row in rows]

    def note_in_hand(self, notes: Sequence[InHand]) -> None:
        """Note what is taken up now, without waiting for a disk. See `Apdb.note_in_hand`."""
        columns = [list(column) for column in zip(*map(astuple, notes), strict=True)]
        with self._connection() as connection:
            self._execute(connection, _NOTE_IN_HAND, columns)

    def contains(self, batch: BatchId) -> bool:
        """Tell whether the ledger holds this batch."""
        with self._connection() as connection:
            found = self._rows(connection, f"SELECT 1 FROM {{{LEDGER}}} WHERE visit = %s AND detector = %s", batch)
        return bool(found)

    def known_tiles(self) -> IntArray:
        """Return every tile that any batch has changed, sorted."""
        with self._connection() as connection:
            rows = self._rows(connection, f"SELECT tile FROM {{{TILE}}} ORDER BY tile")
        return np.array([tile for (tile,) in rows], np.int64)

    def count_rows(self) -> dict[str, int]:
        """Return the number of rows of each table of `COUNTED_TABLES`."""
        with self._connection() as connection:
            return {name: self._rows(connection, f"SELECT count(*) FROM {{{name}}}")[0][0] for name in COUNTED_TABLES}

    def ping(self) -> None:
        """Return if the server answers. See `Apdb.ping`."""
        with self._connection() as connection:
            connection.execute("SELECT 1")

    def close(self) -> None:
        """Release every connection."""
        self._pool.close()

    def _outbox(self, condition: str, parameters: Sequence[object]) -> list[OutboxEntry]:
        statement = f"SELECT {WAITING_COLUMNS}, o.outputs FROM {_OUTBOX_JOIN} {condition}"
        with self._connection() as connection:
            return list(map(outbox_entry, self._rows(connection, statement, parameters)))

    def _rows(
        self, connection: Connection, statement: str, parameters: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        return self._execute(connection, statement, parameters).fetchall()

    def _execute(
        self, connection: Connection, statement: str, parameters: Sequence[object]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        return connection.execute(statement.format(**self._names).encode(), parameters, binary=True)

    def _connect(self) -> Connection:
        connection = self._connector.connect()
        try:
            with translated(connection):
                self._continuity.check(connection)
        except BaseException:
            self._connector.lose(connection)
            connection.close()
            raise
        return connection

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._pool.connection() as connection:
            try:
                with translated(connection):
                    yield connection
            except BaseException:
                self._connector.lose(connection)
                raise


def _key_columns(keys: Collection[BatchRevision]) -> list[list[int]]:
    return [[key[index] for key in keys] for index in range(3)]
