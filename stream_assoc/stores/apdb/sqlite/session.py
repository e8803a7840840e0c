"""One exclusive session on SQLite: plain statements over columns turned into rows."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import DuplicateSourceError, LedgerConflictError, RowsRefusedError
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.entries import duplicate_message, ledger_values, outbox_values
from stream_assoc.stores.apdb.rows.read import versions_of
from stream_assoc.stores.apdb.rows.tables import (
    CHANGED,
    CHECKPOINT,
    COUNTER,
    LEDGER,
    LEDGER_COLUMNS,
    OUTBOX,
    OUTBOX_COLUMNS,
    TILE,
    quoted,
)
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
from stream_assoc.stores.apdb.sqlite.notes import CHOSEN, NoteWriter
from stream_assoc.stores.apdb.sqlite.session_reader import LATEST_VERSION, SqliteSessionReader
from stream_assoc.stores.apdb.sqlite.triggers import BEGIN_BATCH, END_BATCH
from stream_assoc.stores.apdb.sqlite.values import json_of, values_of


class SqliteSession(SqliteSessionReader):
    """`ApdbSession` on one connection.

    Parameters
    ----------
    connection : `sqlite3.Connection`
        In autocommit mode.
    tile_level : `int`
        HTM level of the tiles.
    points : `str`
        Select list of a source's points.
    replication : `Replication` or `None`
        How rows are noted for replicas; `None` when replication is off.
    """

    def __init__(
        self, connection: sqlite3.Connection, tile_level: int, points: str, replication: Replication | None
    ) -> None:
        super().__init__(connection, tile_level, points)
        self._notes = None if replication is None else NoteWriter(connection, replication)

    def prepare(self, diaObjectId: IntArray, validityEndMjdTai: FloatArray) -> None:
        """See `ApdbSession.prepare`; ignored, for SQLite works in the caller's own thread."""

    def commit(self, changes: Sequence[BatchChanges]) -> IntArray:
        """See `ApdbSession.commit`."""
        rows = store_rows(changes)
        try:
            with transaction(self._connection):
                self._connection.execute(BEGIN_BATCH)
                self._check_tiles()
                self._write_ledger(changes)
                self._supersede(rows)
                taken = [self._take_back(change) if change.entry.revision else {} for change in changes]
                for name, table in rows.tables.items():
                    self._insert(name, table)
                # Each batch of a transaction is published after the one before it: the last one stands for all.
                versions = self._write_tiles_and_counter(rows, changes[-1].entry.key)
                # Last, for what is noted in a replica chunk must be committed soon.
                if self._notes is not None:
                    for name, table in self._notes.write(changes, taken).keys.items():
                        self._insert(name, table)
                self._connection.execute(END_BATCH)
                return versions
        except sqlite3.IntegrityError as error:
            raise self._refusal(error, changes) from error

    def keep(self, checkpoints: Checkpoints) -> None:
        """See `ApdbSession.keep`."""
        with transaction(self._connection):
            self._check_tiles()
            self._void(checkpoints.diaObjectId)
            self._insert(CHECKPOINT, checkpoint_rows(checkpoints))

    def _check_tiles(self) -> None:
        read = json_of(np.array(list(self._seen.versions), np.int64))
        self._seen.check(
            dict(
                self._fetch(
                    f'SELECT tile, version FROM "{TILE}" WHERE tile IN (SELECT value FROM json_each(?))', read
                )
            )
        )

    def _write_ledger(self, changes: Sequence[BatchChanges]) -> None:
        marks = ", ".join("?" * len(LEDGER_COLUMNS))
        self._connection.executemany(
            f'INSERT INTO "{LEDGER}" ({quoted(LEDGER_COLUMNS)}) VALUES ({marks})',
            [ledger_values(change.entry) for change in changes],
        )
        self._connection.executemany(
            f'INSERT INTO "{OUTBOX}" ({quoted(OUTBOX_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)',
            [outbox_values(change) for change in changes],
        )

    def _supersede(self, rows: StoreRows) -> None:
        """Close the stored versions and take the objects out of DiaObjectLast.

        The version knows the pixelId that DiaObjectLast is indexed by.
        """
        ended = list(zip(rows.superseded.tolist(), rows.ends.tolist(), strict=True))
        self._connection.executemany(
            'DELETE FROM "DiaObjectLast" WHERE "diaObjectId" = ?1 AND "pixelId" = '
            f'(SELECT "pixelId" FROM "DiaObject" WHERE {LATEST_VERSION})',
            [(identifier,) for identifier, _ in ended],
        )
        self._connection.executemany(f'UPDATE "DiaObject" SET "validityEndMjdTai" = ?2 WHERE {LATEST_VERSION}', ended)
        self._void(rows.voided)
        renewed = np.intersect1d(self._seen.changed, rows.superseded)
        self._connection.executemany(
            f'DELETE FROM "{CHANGED}" WHERE "diaObjectId" = ?', [(identifier,) for identifier in renewed.tolist()]
        )

    def _void(self, diaObjectId: IntArray) -> None:
        self._connection.executemany(
            f'DELETE FROM "{CHECKPOINT}" WHERE "diaObjectId" = ?',
            [(identifier,) for identifier in diaObjectId.tolist()],
        )

    def _take_back(self, change: BatchChanges) -> TakenBackRows:
        """Take back what was stored of this batch before."""
        batch, taken = change.entry.id, {}
        for table, rows in ((SOURCES, change.dia_sources), (FORCED_SOURCES, change.forced_sources)):
            names = {table.table: f'"{table.table}"'}
            ids = int_column(rows, table.key)
            noted = [] if self._notes is None else self._notes.noted(table, batch, ids)
            replaced = self._fetch(replace_statement(table, "?", CHOSEN).format(**names), *batch, json_of(ids))
            statement = withdraw_statement(table, "?").format(**names)
            left = self._fetch(statement, change.entry.timeProcessedMjdTai, *batch)
            taken[table] = TakenBack(noted, replaced, left)
        return taken

    def _insert(self, name: str, table: pa.Table) -> None:
        names = table.column_names
        marks = ", ".join("?" * len(names))
        columns = [values_of(table.column(column)) for column in names]
        self._connection.executemany(
            f'INSERT INTO "{name}" ({quoted(names)}) VALUES ({marks})', zip(*columns, strict=True)
        )

    def _write_tiles_and_counter(self, rows: StoreRows, changed_by: BatchRevision) -> IntArray:
        versions = self._fetch(
            f'INSERT INTO "{TILE}" (tile, version, visit, detector, revision) '
            "SELECT value, 1, ?, ?, ? FROM json_each(?) WHERE TRUE "
            "ON CONFLICT (tile) DO UPDATE SET version = version + 1, visit = excluded.visit, "
            "detector = excluded.detector, revision = excluded.revision RETURNING tile, version",
            *changed_by,
            json_of(rows.tiles),
        )
        if rows.delta:
            self._connection.execute(
                f'INSERT INTO "{COUNTER}" (shard, n_single_source) VALUES (?, ?) ON CONFLICT (shard) '
                "DO UPDATE SET n_single_source = n_single_source + excluded.n_single_source",
                (rows.shard, rows.delta),
            )
        return versions_of(rows.tiles, dict(versions))

    def _refusal(
        self, error: sqlite3.IntegrityError, changes: Sequence[BatchChanges]
    ) -> DuplicateSourceError | LedgerConflictError | RowsRefusedError:
        if LEDGER in str(error):
            return LedgerConflictError(f"another session stored one of these batches first: {reason_of(error)}")
        ids = np.concatenate([int_column(change.dia_sources, "diaSourceId") for change in changes])
        stored = self._fetch(
            'SELECT "diaSourceId", visit, detector FROM "DiaSource" '
            'WHERE "diaSourceId" IN (SELECT value FROM json_each(?))',
            json_of(ids),
        )
        if duplicates := [*stored_elsewhere(stored, changes), *repeated(ids).tolist()]:
            return DuplicateSourceError(duplicate_message(duplicates))
        return RowsRefusedError(f"the APDB refuses the batch: {reason_of(error)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, or undo it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
