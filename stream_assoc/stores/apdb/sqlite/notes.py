"""What a session on SQLite notes for replication."""

import datetime
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.chunks import CHANGED_LATER, NEWEST_CHUNK, ReplicaChunk, choose_chunk, commit_time
from stream_assoc.stores.apdb.rows.notes import UPDATE_COLUMNS, Notes, notes_of
from stream_assoc.stores.apdb.rows.tables import LEDGER, UPDATES, quoted
from stream_assoc.stores.apdb.rows.withdrawal import FORCED_SOURCES, SOURCES, TakenBackRows, Withdrawable
from stream_assoc.stores.apdb.sql.taking_back import (
    PayloadField,
    forget_statement,
    notes_statement,
    uncopied_statement,
)
from stream_assoc.stores.apdb.sqlite.values import json_of

CHOSEN: Final = "IN (SELECT value FROM json_each(?))"
_NAMES: Final = {
    name: f'"{name}"'
    for name in (
        "ApdbReplicaChunks",
        "DiaObjectChunks",
        "DiaSource",
        "DiaSourceChunks",
        "DiaForcedSource",
        "DiaForcedSourceChunks",
        LEDGER,
        UPDATES,
    )
}
_NEWEST: Final = NEWEST_CHUNK.format(mark="?").format(**_NAMES)
_CHANGED_LATER: Final = CHANGED_LATER.format(mark="?").format(**_NAMES)
_UNCOPIED: Final = uncopied_statement("?", CHOSEN).format(**_NAMES)
_FIELD: Final = PayloadField(*["json_extract(update_payload, '$.{name}')"] * 2)
_FORGET_WITHDRAWALS: Final = {
    table: forget_statement(table, "?", CHOSEN, _FIELD, all_kinds=False).format(**_NAMES)
    for table in (SOURCES, FORCED_SOURCES)
}
_FORGET: Final = forget_statement(SOURCES, "?", CHOSEN, _FIELD, all_kinds=True).format(**_NAMES)
_WRITE_CHUNK: Final = (
    'INSERT INTO "ApdbReplicaChunks" (apdb_replica_chunk, last_update_time, unique_id) VALUES (?, ?, ?) '
    "ON CONFLICT (apdb_replica_chunk) DO UPDATE SET "
    "last_update_time = max(last_update_time, excluded.last_update_time), unique_id = excluded.unique_id"
)
_WRITE_RECORDS: Final = f'INSERT INTO "{UPDATES}" ({quoted(UPDATE_COLUMNS)}) VALUES (?, ?, ?, ?, ?)'


class NoteWriter:
    """Reads and makes the notes of one session, in its transaction.

    Parameters
    ----------
    connection : `sqlite3.Connection`
        That of the session.
    replication : `Replication`
        How rows are noted.
    """

    def __init__(self, connection: sqlite3.Connection, replication: Replication) -> None:
        self._connection = connection
        self._replication = replication
        self._begin = replication.monotonic()

    def noted(self, table: Withdrawable, batch: BatchId, again: IntArray) -> list[Any]:
        """Return the notes of those rows of a batch that come again, and forget that they were withdrawn.

        See `TakenBack.noted`.
        """
        row = () if table is SOURCES else batch
        self._connection.execute(_FORGET_WITHDRAWALS[table], (*batch, *row, json_of(again)))
        statement = notes_statement(table, "?", CHOSEN).format(**_NAMES)
        return self._connection.execute(statement, (*batch, json_of(again))).fetchall()

    def write(self, changes: Sequence[BatchChanges], taken: Sequence[TakenBackRows]) -> Notes:
        """Note what these batches store and take back, and return the keys to insert. COMMIT must follow at once."""
        chunk = self._choose_chunk(changes)
        closed = np.concatenate([change.closed.diaObjectId for change in changes])
        since = chunk.last_update_time - datetime.timedelta(seconds=self._replication.lag_seconds)
        uncopied = self._connection.execute(_UNCOPIED, (json_of(closed), _text_of(since))).fetchall()
        notes = notes_of(changes, taken, chunk.id, frozenset(identifier for (identifier,) in uncopied))
        changed = _text_of(chunk.last_update_time)
        self._connection.execute(_CHANGED_LATER, (changed, chunk.before, changed))
        self._connection.execute(_WRITE_CHUNK, (chunk.id, changed, chunk.unique_id.hex))
        for batch, moved in notes.moved.items():
            self._connection.execute(_FORGET, (*batch, json_of(moved)))
        self._connection.executemany(
            _WRITE_RECORDS, [(*record[:3], record[3].hex, record[4]) for record in notes.records]
        )
        return notes

    def _choose_chunk(self, changes: Sequence[BatchChanges]) -> ReplicaChunk:
        commit = commit_time(changes, self._replication.monotonic() - self._begin)
        (newest,) = self._connection.execute(_NEWEST, (commit.horizon,)).fetchone()
        return choose_chunk(commit, newest, self._replication.chunk_seconds)


def _text_of(time: datetime.datetime) -> str:
    """Return a time as SQLAlchemy, through which dax_apdb reads, keeps it: as text without a zone."""
    return f"{time:%Y-%m-%d %H:%M:%S.%f}"
