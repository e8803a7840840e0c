"""What a session on PostgreSQL notes for replication."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import psycopg
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.stores.apdb.postgresql.column_query import array_literal
from stream_assoc.stores.apdb.postgresql.copy_binary import CopyColumn
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.rows.chunks import (
    CHANGED_LATER,
    COMMIT_SECONDS,
    NEWEST_CHUNK,
    ReplicaChunk,
    choose_chunk,
    commit_time,
)
from stream_assoc.stores.apdb.rows.notes import UPDATE_COLUMNS, notes_of
from stream_assoc.stores.apdb.rows.tables import UPDATES, quoted
from stream_assoc.stores.apdb.rows.withdrawal import FORCED_SOURCES, SOURCES, TakenBackRows, Withdrawable
from stream_assoc.stores.apdb.sql.taking_back import (
    PayloadField,
    forget_statement,
    notes_statement,
    uncopied_statement,
)

CHOSEN: Final = "= ANY(%s::bigint[])"
_NEWEST: Final = NEWEST_CHUNK.format(mark="%s")
_CHANGED_LATER: Final = CHANGED_LATER.format(mark="%s")
_UNCOPIED: Final = uncopied_statement("%s", CHOSEN)
_FIELD: Final = PayloadField("(update_payload::json ->> '{name}')", "(update_payload::json ->> '{name}')::bigint")
_FORGET_WITHDRAWALS: Final = {
    table: forget_statement(table, "%s", CHOSEN, _FIELD, all_kinds=False) for table in (SOURCES, FORCED_SOURCES)
}
_FORGET: Final = forget_statement(SOURCES, "%s", CHOSEN, _FIELD, all_kinds=True)
_WRITE_RECORDS: Final = (
    f"INSERT INTO {{{UPDATES}}} ({quoted(UPDATE_COLUMNS)}) "
    "SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::uuid[], %s::text[])"
)
_STILL_THERE: Final = "JOIN {ApdbReplicaChunks} c USING (apdb_replica_chunk) FOR KEY SHARE OF c"
"""A chunk that is being deleted, after replication, takes the notes of rows that come again with it."""
_WRITE_CHUNK: Final = (
    "INSERT INTO {ApdbReplicaChunks} AS c (apdb_replica_chunk, last_update_time, unique_id) "
    "VALUES (%s, %s, %s) ON CONFLICT (apdb_replica_chunk) DO "
)
_TOUCH: Final = (
    f"{_WRITE_CHUNK} UPDATE SET last_update_time = greatest(c.last_update_time, excluded.last_update_time), "
    "unique_id = excluded.unique_id"
)


class NoteWriter:
    """Writes the notes of one session, in its transaction.

    Parameters
    ----------
    execute : callable
        Executes a statement of quoted names with parameters.
    columns : mapping
        Columns of each table, from the catalogue.
    replication : `Replication`
        How rows are noted.
    """

    def __init__(
        self,
        execute: Callable[..., psycopg.Cursor[tuple[Any, ...]]],
        columns: Mapping[str, Sequence[CopyColumn]],
        replication: Replication,
    ) -> None:
        self._execute = execute
        self._columns = columns
        self._replication = replication
        self._begin = replication.monotonic()
        self._chosen = self._begin
        self._uncopied: frozenset[int] = frozenset()

    def noted(self, table: Withdrawable, batch: BatchId, again: IntArray) -> list[tuple[Any, ...]]:
        """Return the notes of those rows of a batch that come again, and forget that they were withdrawn.

        See `TakenBack.noted`.
        """
        row = () if table is SOURCES else batch
        self._execute(_FORGET_WITHDRAWALS[table], *batch, *row, array_literal(again))
        return self._execute(notes_statement(table, "%s", CHOSEN), *batch, array_literal(again)).fetchall()

    def choose_chunk(self, changes: Sequence[BatchChanges]) -> ReplicaChunk:
        """Return the chunk of this transaction. COMMIT must follow within `COMMIT_SECONDS`; see `check_time`."""
        self._chosen = self._replication.monotonic()
        commit = commit_time(changes, self._chosen - self._begin)
        ((newest,),) = self._execute(_NEWEST, commit.horizon).fetchall()
        chunk = choose_chunk(commit, newest, self._replication.chunk_seconds)
        closed = np.concatenate([change.closed.diaObjectId for change in changes])
        if len(closed):
            since = chunk.last_update_time - datetime.timedelta(seconds=self._replication.lag_seconds)
            rows = self._execute(_UNCOPIED, array_literal(closed), since).fetchall()
            self._uncopied = frozenset(identifier for (identifier,) in rows)
        return chunk

    def write(self, chunk: ReplicaChunk, changes: Sequence[BatchChanges], taken: Sequence[TakenBackRows]) -> None:
        """Note what these batches store and take back.

        The chunk is inserted, as the notes that refer to it need. Its last change is noted by `touch`, at the end:
        changing the row at once would make every other daemon wait for this whole transaction.
        """
        self._execute(f"{_WRITE_CHUNK} NOTHING", chunk.id, chunk.last_update_time, chunk.unique_id)
        notes = notes_of(changes, taken, chunk.id, self._uncopied)
        for name, table in notes.keys.items():
            self._insert_keys(name, table, _STILL_THERE if any(taken) else "")
        for batch, moved in notes.moved.items():
            self._execute(_FORGET, *batch, array_literal(moved))
        if notes.records:
            columns = [list(column) for column in zip(*notes.records, strict=True)]
            self._execute(_WRITE_RECORDS, *columns)

    def touch(self, chunk: ReplicaChunk) -> None:
        """Note that a chunk has changed, and the one before it where this one is begun."""
        if chunk.before is not None:
            self._execute(_CHANGED_LATER, chunk.last_update_time, chunk.before, chunk.last_update_time)
        self._execute(_TOUCH, chunk.id, chunk.last_update_time, chunk.unique_id)

    def check_time(self) -> None:
        """Return if the chunk may still be committed to.

        Raises
        ------
        FencedError
            If `COMMIT_SECONDS` are over. Nothing may be stored then.
        """
        if self._replication.monotonic() - self._chosen > COMMIT_SECONDS:
            raise FencedError(
                f"the transaction was not ready to commit within {COMMIT_SECONDS:g} s of the choice of its replica "
                "chunk, which may have been copied since; see what holds up the database or this process"
            )

    def _insert_keys(self, name: str, table: pa.Table, condition: str) -> None:
        """Note keys, in a statement that a pipeline can hold, as it cannot a COPY."""
        types = {column.name: column.type_name for column in self._columns[name]}
        arrays = ", ".join(f"%s::{types[column]}[]" for column in table.column_names)
        self._execute(
            f"INSERT INTO {{{name}}} ({quoted(table.column_names)}) SELECT {quoted(table.column_names, 'u.')} "
            f"FROM unnest({arrays}) AS u({quoted(table.column_names)}) "
            f"{condition}",
            *[array_literal(column.to_numpy()) for column in table.columns],
        )
