"""The APDB in an SQLite file: one writer, no server."""

import contextlib
import os
import sqlite3
import urllib.parse
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Final

import numpy as np

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.types import IntArray
from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import ApdbError, ApdbUnavailableError
from stream_assoc.pipeline.ports.in_hand import InHand
from stream_assoc.pipeline.ports.outbox import OutboxEntry, WaitingEntry
from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.private_files import create_like
from stream_assoc.stores.apdb.columns import check_columns
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbDamagedError, ApdbSchemaError
from stream_assoc.stores.apdb.notes import INIT_REMEDY, check_unchanged, tile_level_of
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.pool import ConnectionPool
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION, Replication
from stream_assoc.stores.apdb.rows.entries import outbox_entry, waiting_entry
from stream_assoc.stores.apdb.rows.tables import (
    COUNTED_TABLES,
    IN_HAND,
    IN_HAND_COLUMNS,
    LEDGER,
    OUTBOX,
    REPLICATION,
    TILE,
    quoted,
)
from stream_assoc.stores.apdb.sql.compatibility import (
    check_compatible,
)
from stream_assoc.stores.apdb.sql.other_records import NOTE_LAG
from stream_assoc.stores.apdb.sql.other_writers import check_triggers, pixel_shift
from stream_assoc.stores.apdb.sql.statements import NOTE_IN_HAND, WAITING_COLUMNS, point_expressions
from stream_assoc.stores.apdb.sqlite.session import SqliteSession, transaction
from stream_assoc.stores.apdb.sqlite.session_reader import SqliteSessionReader
from stream_assoc.stores.apdb.sqlite.triggers import SqliteTriggers

_OUTBOX_JOIN: Final = f'"{OUTBOX}" o JOIN "{LEDGER}" l USING (visit, detector, revision)'
_OUTBOX_SELECT: Final = f"SELECT {WAITING_COLUMNS}, o.outputs FROM {_OUTBOX_JOIN}"

_COLUMNS_SELECT: Final = (
    "SELECT t.name, c.name FROM sqlite_master t CROSS JOIN pragma_table_info(t.name) c WHERE t.type = 'table'"
)
_NOTES_SELECT: Final = "SELECT name, value FROM metadata"

_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "its file system is full: free space there",
    sqlite3.SQLITE_IOERR: "see that its file system has space and takes writes",
    sqlite3.SQLITE_CANTOPEN: "see that its folder exists, has space and takes new files",
    sqlite3.SQLITE_BUSY: "another process held it for longer than apdb.lock_timeout_seconds",
}
"""What to do about a result code, where SQLite's own words do not tell."""


class SqliteApdb:
    """`Apdb` in an SQLite file.

    SQLite has one writer, so `exclusive` covers the whole database whatever
    the cells. Its lock is that of a second, empty database beside the first,
    because a lock on the APDB itself would end with the transaction of
    `ApdbSession.commit`, before the caller has written its cache. Like every
    lock of SQLite it dies with its process. The file must be on a local disk.

    Parameters
    ----------
    path : `str` or `pathlib.Path`
        The database file, made by `stream_assoc.stores.apdb.create.init`.
    tile_level : `int`
        HTM level of the tiles.
    flag_columns : sequence of `str`
        DiaSource flags any of which makes a source count as flagged.
    replication : `Replication`
        How rows are noted for replicas, where the database has been made for any.
    patience : `Patience`
        How long to wait for other writers.

    Raises
    ------
    ApdbSchemaError
        If the file does not exist or is no APDB prepared for this package.
    ApdbUnavailableError
        If the file cannot be read now.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        tile_level: int = 10,
        flag_columns: Sequence[str] = (),
        replication: Replication = DEFAULT_REPLICATION,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self._path = one_name(Path(path))
        self._tile_level = tile_level
        self._points = point_expressions(flag_columns, "instr")
        self._timeout = patience.lock_seconds
        self._pool = ConnectionPool(self._connect)
        self._locks = ConnectionPool(lambda: _open_lock(self._path, self._timeout))
        # In a write-ahead log, a commit that does not wait for the disk outlives the process, as a note must.
        self._notebooks = ConnectionPool(lambda: self._connect(synchronous="NORMAL"))
        with self._reading() as connection:
            columns: dict[str, set[str]] = {}
            for table, column in connection.execute(_COLUMNS_SELECT):
                columns.setdefault(table, set()).add(column)
            metadata = dict(connection.execute(_NOTES_SELECT)) if "metadata" in columns else {}
        # A copy of the file holds its identity too, but is another file.
        self.report = check_compatible(metadata, columns).of_copy(str(self._path.stat().st_ino))
        self._columns, self._notes = columns, metadata
        self.expect_statistics(())
        with self._reading() as connection:
            check_triggers(SqliteTriggers(connection).lacking(pixel_shift(tile_level_of(self.report.partition))))
        self._replication = replication if self.report.replication else None

    def expect_statistics(self, statistics: Collection[str]) -> None:
        """Return if the database has columns for all that will be stored. See `OpenApdb.expect_statistics`."""
        check_columns(self._columns, statistics)

    def announce_replication(self) -> None:
        """Let triggers know how far replicas may lag. See `OpenApdb.announce_replication`."""
        if self._replication is not None:
            statement = NOTE_LAG.format(mark="?").format(**{REPLICATION: f'"{REPLICATION}"'})
            with self._reading() as connection:
                connection.execute(statement, (self._replication.lag_seconds,))

    @contextmanager
    def exclusive(self, cells: IntArray) -> Iterator[ApdbSession]:
        """Wait for, then hold, exclusive access to the database. See `Apdb.exclusive`."""
        with self._locks.connection() as lock:
            with translated():
                lock.execute("BEGIN EXCLUSIVE")
            with self._reading() as connection:
                check_unchanged(self._notes, dict(connection.execute(_NOTES_SELECT)))
                yield SqliteSession(connection, self._tile_level, self._points, self._replication)
            lock.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[SessionReader]:
        """Read as of one moment; with a write-ahead log nobody waits. See `ApdbReaders.reading`."""
        with self._reading() as connection, connection:
            connection.execute("BEGIN")
            check_unchanged(self._notes, dict(connection.execute(_NOTES_SELECT)))
            yield SqliteSessionReader(connection, self._tile_level, self._points)

    def outbox_entry(self, key: BatchRevision) -> OutboxEntry | None:
        """Return the unpublished outputs of one processing of a batch. See `Apdb.outbox_entry`."""
        with self._reading() as connection:
            condition = "o.visit = ? AND o.detector = ? AND o.revision = ?"
            row = connection.execute(f"{_OUTBOX_SELECT} WHERE {condition}", key).fetchone()
        return None if row is None else outbox_entry(row)

    def unpublished(self) -> list[OutboxEntry]:
        """Return all outputs not known to be published, in the order they were stored."""
        with self._reading() as connection:
            rows = connection.execute(f"{_OUTBOX_SELECT} ORDER BY o.sequence").fetchall()
        return list(map(outbox_entry, rows))

    def waiting(self) -> list[WaitingEntry]:
        """Return what is in the outbox, without the outputs. See `Apdb.waiting`."""
        with self._reading() as connection:
            rows = connection.execute(f"SELECT {WAITING_COLUMNS} FROM {_OUTBOX_JOIN} ORDER BY o.sequence").fetchall()
        return list(map(waiting_entry, rows))

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these batches that are in the outbox. See `Apdb.still_waiting`."""
        statement = f'SELECT 1 FROM "{OUTBOX}" WHERE visit = ? AND detector = ? AND revision = ?'
        with self._reading() as connection:
            return frozenset(key for key in keys if connection.execute(statement, key).fetchone() is not None)

    @contextmanager
    def sole_adopter(self) -> Iterator[bool]:
        """Try to be the only one that adopts outputs. See `Apdb.sole_adopter`."""
        with contextlib.closing(_open_lock(self._path, 0.0, "adoption")) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise translate(error) from error
                yield False
                return
            # Closing gives the lock back.
            yield True

    def mark_published(self, keys: Sequence[BatchRevision]) -> None:
        """Forget the outputs of these."""
        with self._reading() as connection, transaction(connection):
            connection.executemany(f'DELETE FROM "{OUTBOX}" WHERE visit = ? AND detector = ? AND revision = ?', keys)

    def in_hand(self, partitions: Collection[tuple[str, int]]) -> list[InHand]:
        """Return what was last noted of these partitions. See `Apdb.in_hand`."""
        select = f'SELECT {quoted(IN_HAND_COLUMNS)} FROM "{IN_HAND}" WHERE topic = ? AND partition = ?'
        with self._reading() as connection:
            rows = [row for partition in partitions for row in connection.execute(select, partition)]
        return [
            InHand(topic, partition, first, last, bool(suspect)) for topic, partition, first, last, suspect in rows
        ]

    def note_in_hand(self, notes: Sequence[InHand]) -> None:
        """Note what is taken up now, without waiting for the disk. See `Apdb.note_in_hand`."""
        with self._notebooks.connection() as connection, translated(), transaction(connection):
            connection.executemany(
                f'INSERT INTO "{IN_HAND}" ({quoted(IN_HAND_COLUMNS)}) VALUES (?, ?, ?, ?, ?) {NOTE_IN_HAND}',
                [astuple(note) for note in notes],
            )

    def contains(self, batch: BatchId) -> bool:
        """Tell whether the ledger holds this batch."""
        with self._reading() as connection:
            found = connection.execute(f'SELECT 1 FROM "{LEDGER}" WHERE visit = ? AND detector = ?', batch)
            return found.fetchone() is not None

    def known_tiles(self) -> IntArray:
        """Return every tile that any batch has changed, sorted."""
        with self._reading() as connection:
            rows = connection.execute(f'SELECT tile FROM "{TILE}" ORDER BY tile').fetchall()
        return np.array([tile for (tile,) in rows], np.int64)

    def count_rows(self) -> dict[str, int]:
        """Return the number of rows of each table of `COUNTED_TABLES`."""
        with self._reading() as connection:
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in COUNTED_TABLES
            }

    def ping(self) -> None:
        """Return if the file is there and can be read. See `Apdb.ping`."""
        # An open connection would go on reading a file that has been moved away.
        if not self._path.is_file():
            raise ApdbUnavailableError(f"the APDB file {self._path} is gone; put it back, or correct apdb.url")
        with self._reading() as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def close(self) -> None:
        """Release every connection."""
        self._pool.close()
        self._locks.close()
        self._notebooks.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._pool.connection() as connection, translated():
            yield connection

    def _connect(self, synchronous: str = "FULL") -> sqlite3.Connection:
        connection = _open(f"file:{urllib.parse.quote(str(self._path))}?mode=rw", self._timeout)
        with translated():
            for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
        return connection


def one_name(path: Path) -> Path:
    """Return the one name that every process calls the file by: absolute, symbolic links followed.

    Beside it stand the lock and SQLite's write-ahead log, which two names would have twice.

    Raises
    ------
    ApdbSchemaError
        If there is no such file.
    ApdbConfigurationError
        If hard links give it more names.
    """
    if not path.is_file():
        raise ApdbSchemaError(f"apdb.url names {path}, which does not exist; {INIT_REMEDY}")
    resolved = path.resolve()
    if resolved.stat().st_nlink > 1:
        raise ApdbConfigurationError(
            f"apdb.url names {path}, which has other names too (hard links): SQLite keeps a log and a lock beside "
            "each name, so two of them damage the file; remove the others, or make a copy of it"
        )
    return resolved


def hold_lock(path: Path, lock_seconds: float) -> sqlite3.Connection:
    """Take what `SqliteApdb.exclusive` takes, and return the connection that holds it until it is closed."""
    lock = _open_lock(path, lock_seconds)
    lock.execute("BEGIN EXCLUSIVE")
    return lock


def _open_lock(path: Path, timeout: float, purpose: str = "exclusive") -> sqlite3.Connection:
    lock = path.with_name(f"{path.name}-{purpose}")
    try:
        create_like(lock, path)
    except OSError as error:
        raise ApdbUnavailableError(
            f"the lock beside the APDB file cannot be made (apdb.url): {reason_of(error)}; "
            f"{_REMEDIES[sqlite3.SQLITE_CANTOPEN]}"
        ) from error
    return _open(f"file:{urllib.parse.quote(str(lock))}", timeout)


def _open(uri: str, timeout: float) -> sqlite3.Connection:
    with translated():
        return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what SQLite raises as what a caller can do about it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise translate(error) from error


def translate(error: sqlite3.DatabaseError) -> ApdbError:
    """Return an SQLite error as one of the kinds the daemon distinguishes.

    A violated constraint is the session's to judge: it knows the batch.
    """
    full_code = getattr(error, "sqlite_errorcode", None)
    if full_code is None:
        # What Python's module itself refuses, such as to use a closed connection, has no code of SQLite's.
        return ApdbError(f"Python's sqlite3 refuses what was asked of the APDB: {reason_of(error)}")
    code = full_code & 0xFF
    if code == sqlite3.SQLITE_CORRUPT:
        return ApdbDamagedError(f"SQLite finds the file of apdb.url damaged: {reason_of(error)}")
    if not isinstance(error, sqlite3.OperationalError):
        return ApdbSchemaError(f"the file that apdb.url names cannot be used as an APDB: {reason_of(error)}")
    if code == sqlite3.SQLITE_ERROR:
        return ApdbSchemaError(f"the APDB does not have the tables this version expects: {reason_of(error)}")
    if code == sqlite3.SQLITE_READONLY:
        return ApdbUnavailableError(
            f"the APDB file of apdb.url or its folder cannot be written by user {os.geteuid()} "
            f"({reason_of(error)}); make both, and their file system, writable for that user"
        )
    remedy = f"; {_REMEDIES[code]}" if code in _REMEDIES else ""
    return ApdbUnavailableError(f"the APDB file cannot be used now (apdb.url): {reason_of(error)}{remedy}")
