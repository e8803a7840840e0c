"""One exclusive session on PostgreSQL: columns in, columns out, few round trips."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Final, TypeVar

import numpy as np
import psycopg
import pyarrow as pa

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import DuplicateSourceError, FencedError, LedgerConflictError, RowsRefusedError
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.postgresql.column_query import array_literal
from stream_assoc.stores.apdb.postgresql.connection import BoundedConnection
from stream_assoc.stores.apdb.postgresql.copy_binary import CopyColumn, encode
from stream_assoc.stores.apdb.postgresql.notes import CHOSEN, NoteWriter
from stream_assoc.stores.apdb.postgresql.queries import (
    BUMP_TILES,
    COUNT,
    FORGET_CHANGED,
    GIVE_WAY,
    HOLD_TILES,
    MANY,
    READ_TILES,
    SUPERSEDE,
    VOID_CHECKPOINTS,
    WAIT,
)
from stream_assoc.stores.apdb.postgresql.session_reader import PostgresqlSessionReader
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.entries import duplicate_message, ledger_values, outbox_values
from stream_assoc.stores.apdb.rows.read import versions_of
from stream_assoc.stores.apdb.rows.tables import CHECKPOINT, LEDGER, LEDGER_COLUMNS, OUTBOX, OUTBOX_COLUMNS, quoted
from stream_assoc.stores.apdb.rows.withdrawal import FORCED_SOURCES, SOURCES, TakenBack, TakenBackRows
from stream_assoc.stores.apdb.rows.written import (
    StoreRows,
    checkpoint_rows,
    int_column,
    repeated,
    store_rows,
    stored_elsewhere,
)
from stream_assoc.stores.apdb.sql.taking_back import replace_statement, withdraw_statement

BACKEND_QUERY: Final = "SELECT pg_backend_pid()"

Result = TypeVar("Result")


class PostgresqlSession(PostgresqlSessionReader):
    """`ApdbSession` on the connection that holds the locks.

    Parameters
    ----------
    connection : `BoundedConnection`
        In autocommit mode.
    names, columns : mapping
        Quoted name and columns of each table, from the catalogue.
    tile_level : `int`
        HTM level of the tiles.
    points : `str`
        Select list of a source's points.
    replication : `Replication` or `None`
        How rows are noted for replicas; `None` when replication is off.

    Attributes
    ----------
    committed : sequence of `BatchChanges`
        What `commit` has stored, for certain.
    """

    committed: Sequence[BatchChanges] = ()

    def __init__(
        self,
        connection: BoundedConnection,
        names: Mapping[str, str],
        columns: Mapping[str, Sequence[CopyColumn]],
        tile_level: int,
        points: str,
        replication: Replication | None,
    ) -> None:
        super().__init__(connection, names, tile_level, points)
        self._columns = columns
        self._notes = None if replication is None else NoteWriter(self._execute, columns, replication)
        self._transaction = ExitStack()
        self._pipeline = ExitStack()
        self._prepared = np.empty(0, np.int64)

    def prepare(self, diaObjectId: IntArray, validityEndMjdTai: FloatArray) -> None:
        """See `ApdbSession.prepare`: the server is sent the statement, and works on it until `commit`."""
        if len(diaObjectId) >= MANY:
            self._begin()
            self._pipeline.enter_context(self._connection.pipeline())
            self._execute(GIVE_WAY)
            self._execute(SUPERSEDE, array_literal(diaObjectId), array_literal(validityEndMjdTai))
            self._prepared = diaObjectId

    def abandon(self) -> None:
        """Undo what `prepare` has begun and no `commit` has completed."""
        with suppress(psycopg.Rollback), self._transaction:
            raise psycopg.Rollback

    def commit(self, changes: Sequence[BatchChanges]) -> IntArray:
        """See `ApdbSession.commit`."""
        rows = store_rows(changes)
        try:
            with self._transaction:
                versions = self._unless_fenced(lambda: self._write(changes, rows))
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise self._refusal(error, changes) from error
        except psycopg.errors.IdleInTransactionSessionTimeout as error:
            raise FencedError(
                f"PostgreSQL ended the session, and its locks on the sky, in the midst of a transaction: "
                f"{reason_of(error)}; see what holds up this process"
            ) from error
        except pa.ArrowInvalid as error:
            raise RowsRefusedError(f"a value does not fit its column of the APDB: {reason_of(error)}") from error
        self.committed = changes
        return versions

    def keep(self, checkpoints: Checkpoints) -> None:
        """See `ApdbSession.keep`."""
        with self._transaction:
            self._unless_fenced(lambda: self._write_checkpoints(checkpoints))

    def _begin(self) -> None:
        self._transaction.enter_context(self._connection.transaction())
        self._transaction.enter_context(self._pipeline)

    def _unless_fenced(self, write: Callable[[], Result]) -> Result:
        """Write everything but COMMIT. A connection that dies before has lost its locks, and nothing is stored."""
        try:
            if not len(self._prepared):
                self._begin()
            return write()
        except psycopg.OperationalError as error:
            if self._connection.closed:
                raise FencedError(
                    f"the connection to PostgreSQL was lost, and the locks on the sky with it: {reason_of(error)}"
                ) from error
            raise

    def _write(self, changes: Sequence[BatchChanges], rows: StoreRows) -> IntArray:
        """Write all rows. What other daemons may also want to change comes last, in a fixed order."""
        with self._connection.pipeline():
            backend = self._execute(BACKEND_QUERY)
            self._execute(GIVE_WAY)
            left = ~np.isin(rows.superseded, self._prepared)
            if left.any():
                self._execute(SUPERSEDE, array_literal(rows.superseded[left]), array_literal(rows.ends[left]))
            # Each batch of a transaction is published after the one before it: the last one stands for all.
            versions = self._execute(BUMP_TILES, *changes[-1].entry.key, array_literal(rows.tiles))
            # What another program raises from here on, it raises after this transaction.
            read = self._execute(READ_TILES, array_literal(np.array(list(self._seen.versions), np.int64)))
            self._execute(WAIT)
            self._forget_changed(rows)
            if len(rows.voided):
                self._execute(VOID_CHECKPOINTS, array_literal(rows.voided))
            self._write_ledger(changes)
            # Encoded while the server works on what it has been sent.
            copies = [self._encoded(name, table) for name, table in rows.tables.items()]
        # A pipeline cannot hold a COPY.
        self._pipeline.close()
        raised = dict(versions.fetchall())
        self._seen.check({tile: version - (tile in raised) for tile, version in read.fetchall()})
        taken = [self._take_back(change) if change.entry.revision else {} for change in changes]
        for encoded in copies:
            self._copy(*encoded)
        chunk = self._notes and self._notes.choose_chunk(changes)
        with self._connection.pipeline():
            if self._notes and chunk:
                self._notes.write(chunk, changes, taken)
            if rows.delta:
                self._execute(COUNT, rows.shard, rows.delta)
            if self._notes and chunk:
                self._notes.touch(chunk)
        if self._notes:
            self._notes.check_time()
        # The locks are those of the session that the connection was made with.
        self._connection.check_backend(backend.fetchall()[0][0])
        return versions_of(rows.tiles, raised)

    def _write_checkpoints(self, checkpoints: Checkpoints) -> None:
        with self._connection.pipeline():
            backend = self._execute(BACKEND_QUERY)
            self._execute(GIVE_WAY)
            held = self._execute(HOLD_TILES, array_literal(np.array(list(self._seen.versions), np.int64)))
            self._execute(VOID_CHECKPOINTS, array_literal(checkpoints.diaObjectId))
        self._pipeline.close()
        self._seen.check(dict(held.fetchall()))
        self._copy(*self._encoded(CHECKPOINT, checkpoint_rows(checkpoints)))
        self._connection.check_backend(backend.fetchall()[0][0])

    def _copy(self, statement: bytes, data: memoryview) -> None:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(data)

    def _forget_changed(self, rows: StoreRows) -> None:
        """Objects with a new version, and closed ones, are as this session folded them."""
        renewed = np.intersect1d(self._seen.changed, rows.superseded)
        if len(renewed):
            self._execute(FORGET_CHANGED, array_literal(renewed))

    def _write_ledger(self, changes: Sequence[BatchChanges]) -> None:
        marks = ", ".join(["%s"] * len(LEDGER_COLUMNS))
        for change in changes:
            self._execute(
                f"INSERT INTO {{{LEDGER}}} ({quoted(LEDGER_COLUMNS)}) VALUES ({marks})",
                *ledger_values(change.entry),
            )
            self._execute(
                f"INSERT INTO {{{OUTBOX}}} ({quoted(OUTBOX_COLUMNS)}) VALUES (%s, %s, %s, %s, %s, %s)",
                *outbox_values(change),
            )

    def _take_back(self, change: BatchChanges) -> TakenBackRows:
        """Take back what was stored of this batch before."""
        batch, taken = change.entry.id, {}
        self._execute(GIVE_WAY)
        for table, rows in ((SOURCES, change.dia_sources), (FORCED_SOURCES, change.forced_sources)):
            ids = int_column(rows, table.key)
            noted = self._notes.noted(table, batch, ids) if self._notes else []
            replaced = self._execute(replace_statement(table, "%s", CHOSEN), *batch, array_literal(ids)).fetchall()
            left = self._execute(withdraw_statement(table, "%s"), change.entry.timeProcessedMjdTai, *batch).fetchall()
            taken[table] = TakenBack(noted, replaced, left)
        self._execute(WAIT)
        return taken

    def _encoded(self, name: str, table: pa.Table) -> tuple[bytes, memoryview]:
        """Return the COPY statement that stores these rows, and what it is fed with."""
        given = set(table.column_names)
        if unknown := given.difference(column.name for column in self._columns[name]):
            raise ApdbSchemaError(f"the APDB's table {name} has no {', '.join(sorted(unknown))}, which would be lost")
        columns = [column for column in self._columns[name] if column.name in given]
        missing = [column.name for column in self._columns[name] if column.required and column.name not in given]
        if missing:
            raise ApdbSchemaError(f"{name} requires {', '.join(missing)}, which this version does not write")
        statement = f"COPY {{{name}}} ({quoted([column.name for column in columns])}) FROM STDIN (FORMAT BINARY)"
        return self._named(statement), encode(table, columns).data

    def _refusal(
        self, error: psycopg.Error, changes: Sequence[BatchChanges]
    ) -> DuplicateSourceError | LedgerConflictError | RowsRefusedError:
        if error.diag.table_name == LEDGER:
            return LedgerConflictError(f"another session stored one of these batches first: {reason_of(error)}")
        ids = np.concatenate([int_column(change.dia_sources, "diaSourceId") for change in changes])
        stored = self._execute(
            'SELECT "diaSourceId", visit, detector FROM {DiaSource} WHERE "diaSourceId" = ANY(%s::bigint[])',
            array_literal(ids),
        )
        if duplicates := [*stored_elsewhere(stored, changes), *repeated(ids).tolist()]:
            return DuplicateSourceError(duplicate_message(duplicates))
        return RowsRefusedError(f"the APDB refuses the batch: {reason_of(error)}")
