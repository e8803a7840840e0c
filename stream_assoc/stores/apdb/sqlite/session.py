"""One exclusive session on SQLite: plain statements over columns turned into rows."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.forced import ForcedPoints, GoodSources
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import Checkpoints, ObjectHistories, SourcePoints
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import DuplicateSourceError, LedgerConflictError, RowsRefusedError
from stream_assoc.pipeline.ports.reader import CountedSources, ObjectVersions, SessionSnapshot
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.sql.rows import (
    StoreRows,
    checkpoints_of,
    forced_points,
    forced_source_table,
    histories,
    int_column,
    pixel_ranges,
    repeated,
    store_rows,
    stored_elsewhere,
    tiled,
    versions_of,
)
from stream_assoc.stores.apdb.sql.snapshot import SeenTiles, snapshot_of
from stream_assoc.stores.apdb.sql.statements import (
    CHANGED,
    CHECKPOINT,
    COUNTER,
    LEDGER,
    LEDGER_COLUMNS,
    OUTBOX,
    OUTBOX_COLUMNS,
    POSITION_COLUMNS,
    TILE,
    VERSION_COLUMNS,
    duplicate_message,
    forced_expressions,
    forced_source_rows,
    ledger_values,
    outbox_values,
    quoted,
    source_condition,
)
from stream_assoc.stores.apdb.sql.withdrawal import FORCED_SOURCES, SOURCES, TakenBack, TakenBackRows
from stream_assoc.stores.apdb.sqlite.notes import CHOSEN, NoteWriter
from stream_assoc.stores.apdb.sqlite.triggers import BEGIN_BATCH, END_BATCH
from stream_assoc.stores.apdb.sqlite.values import arrays_of, json_of, spans_of, values_of

_LEDGER_SELECT: Final = f'SELECT {quoted(LEDGER_COLUMNS, "l.")} FROM "{LEDGER}" l'
_FORCED_SELECT: Final = f"SELECT {forced_expressions('instr')} FROM"
_LATEST_VERSION: Final = (
    '"diaObjectId" = ?1 AND "validityEndMjdTai" IS NULL AND "validityStartMjdTai" = '
    '(SELECT max("validityStartMjdTai") FROM "DiaObject" WHERE "diaObjectId" = ?1)'
)


class SqliteSession:
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
        self._connection = connection
        self._tile_level = tile_level
        self._points = points
        self._notes = None if replication is None else NoteWriter(connection, replication)
        self._seen = SeenTiles()

    def read_snapshot(self, batches: Sequence[BatchId], tiles: IntArray) -> SessionSnapshot:
        """See `ApdbSession.read_snapshot`."""
        entries = [
            row
            for batch in batches
            for row in self._fetch(f"{_LEDGER_SELECT} WHERE l.visit = ? AND l.detector = ?", *batch)
        ]
        stored = self._fetch(
            f'SELECT t.tile, t.version, o.visit, o.detector, o.revision FROM "{TILE}" t '
            f'LEFT JOIN "{OUTBOX}" o USING (visit, detector, revision) '
            "WHERE t.tile IN (SELECT value FROM json_each(?))",
            json_of(tiles),
        )
        total = self._fetch(f'SELECT coalesce(sum(n_single_source), 0) FROM "{COUNTER}"')
        changed = self._fetch(
            f'SELECT "diaObjectId", tile, is_outdated FROM "{CHANGED}" '
            "WHERE tile IN (SELECT value FROM json_each(?)) ORDER BY 1",
            json_of(tiles),
        )
        snapshot = snapshot_of(entries, tiles, stored, total[0][0], changed)
        self._seen.add(tiles, snapshot)
        return snapshot

    def load_tiles(self, tiles: IntArray) -> TiledObjects:
        """See `ApdbSession.load_tiles`."""
        # CROSS JOIN keeps SQLite from looking for each object's range instead of each range's objects.
        rows = self._fetch(
            f'SELECT {quoted(POSITION_COLUMNS)} FROM json_each(?) r CROSS JOIN "DiaObjectLast" '
            "WHERE \"pixelId\" BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]')",
            json_of(pixel_ranges(tiles, self._tile_level)),
        )
        pixelId, *columns = arrays_of(rows, "iiddffdn")
        return tiled(tiles, self._tile_level, pixelId, ObjectPositions(*columns))

    def load_histories(
        self, diaObjectId: IntArray, without: BatchId | None = None, after: FloatArray | None = None
    ) -> ObjectHistories:
        """See `ApdbSession.load_histories`."""
        asked = json_of(np.unique(diaObjectId))
        versions = self._fetch(
            f'SELECT {quoted(VERSION_COLUMNS)} FROM json_each(?) r CROSS JOIN "DiaObject" '
            f"WHERE {_LATEST_VERSION.replace('?1', 'r.value')}",
            asked,
        )
        ids = np.unique(diaObjectId) if after is None else diaObjectId
        points = self._fetch(
            f'SELECT {self._points} FROM json_each(?) r CROSS JOIN "DiaSource" '
            "WHERE \"diaObjectId\" = json_extract(r.value, '$[0]') "
            "AND \"timeProcessedMjdTai\" > json_extract(r.value, '$[1]') "
            'AND "timeWithdrawnMjdTai" IS NULL AND NOT (visit IS ? AND detector IS ?) '
            'ORDER BY "diaObjectId", "timeProcessedMjdTai", "diaSourceId"',
            spans_of(ids, np.full(len(ids), -np.inf) if after is None else after),
            *(without or (None, None)),
        )
        source_object, *columns = arrays_of(points, "idddddddib")
        return histories(diaObjectId, arrays_of(versions, "idfff"), source_object, SourcePoints(*columns))

    def load_checkpoints(self, diaObjectId: IntArray, layout: int) -> Checkpoints:
        """See `ApdbSession.load_checkpoints`."""
        rows = self._fetch(
            f'SELECT "diaObjectId", "validityStartMjdTai", state FROM "{CHECKPOINT}" '
            'WHERE "diaObjectId" IN (SELECT value FROM json_each(?)) AND layout = ?',
            json_of(diaObjectId),
            layout,
        )
        return checkpoints_of(rows, layout)

    def load_forced_points(
        self, diaObjectId: IntArray, after: FloatArray, until: FloatArray, without: BatchId | None = None
    ) -> ForcedPoints:
        """See `ApdbSession.load_forced_points`."""
        rows = self._fetch(
            f'{_FORCED_SELECT} json_each(?) r CROSS JOIN "DiaForcedSource" '
            "WHERE \"diaObjectId\" = json_extract(r.value, '$[0]') "
            "AND \"timeProcessedMjdTai\" > json_extract(r.value, '$[1]') "
            "AND \"timeProcessedMjdTai\" <= json_extract(r.value, '$[2]') "
            'AND "timeWithdrawnMjdTai" IS NULL AND NOT (visit IS ? AND detector IS ?) '
            'ORDER BY "diaObjectId", "timeProcessedMjdTai", visit, detector',
            spans_of(diaObjectId, after, until),
            *(without or (None, None)),
        )
        return forced_points(arrays_of(rows, "idddi"))

    def counted_forced_sources(self, batch: BatchId) -> ForcedPoints:
        """See `ApdbSession.counted_forced_sources`."""
        rows = self._fetch(
            f'{_FORCED_SELECT} "DiaForcedSource" WHERE visit = ? AND detector = ? AND "timeWithdrawnMjdTai" IS NULL '
            'ORDER BY "diaObjectId"',
            *batch,
        )
        return forced_points(arrays_of(rows, "idddi"))

    def forced_source_rows(self, batch: BatchId) -> pa.Table:
        """See `ApdbSession.forced_source_rows`."""
        statement = forced_source_rows("?").format(DiaForcedSource='"DiaForcedSource"')
        return forced_source_table(self._fetch(statement, *batch))

    def has_good_source(
        self, diaObjectId: IntArray, criteria: GoodSources | None, without: BatchId | None = None
    ) -> BoolArray:
        """See `ApdbSession.has_good_source`."""
        condition, limits = source_condition("?", criteria)
        rows = self._fetch(
            'SELECT r.value FROM json_each(?) r WHERE EXISTS (SELECT 1 FROM "DiaSource" WHERE '
            f'"diaObjectId" = r.value AND {condition} AND NOT (visit IS ? AND detector IS ?))',
            json_of(np.unique(diaObjectId)),
            *limits,
            *(without or (None, None)),
        )
        return np.isin(diaObjectId, arrays_of(rows, "i")[0])

    def counted_sources(self, batch: BatchId) -> CountedSources:
        """See `ApdbSession.counted_sources`."""
        rows = self._fetch(
            'SELECT "diaSourceId", coalesce("diaObjectId", 0) FROM "DiaSource" '
            'WHERE visit = ? AND detector = ? AND "timeWithdrawnMjdTai" IS NULL ORDER BY "diaSourceId"',
            *batch,
        )
        return CountedSources(*arrays_of(rows, "ii"))

    def latest_versions(self, diaObjectId: IntArray) -> ObjectVersions:
        """See `ApdbSession.latest_versions`."""
        rows = self._fetch(
            f'SELECT {quoted(POSITION_COLUMNS[1:], "o.")}, o."validityEndMjdTai" '
            'FROM json_each(?) r CROSS JOIN "DiaObject" o WHERE o."diaObjectId" = r.value AND '
            'o."validityStartMjdTai" = (SELECT max("validityStartMjdTai") FROM "DiaObject" '
            'WHERE "diaObjectId" = r.value) ORDER BY r.value',
            json_of(np.unique(diaObjectId)),
        )
        *columns, ends = arrays_of(rows, "iddffdnd")
        return ObjectVersions(ObjectPositions(*columns), ends)

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
            f'(SELECT "pixelId" FROM "DiaObject" WHERE {_LATEST_VERSION})',
            [(identifier,) for identifier, _ in ended],
        )
        self._connection.executemany(
            f'UPDATE "DiaObject" SET "validityEndMjdTai" = ?2 WHERE {_LATEST_VERSION}', ended
        )
        self._connection.executemany(
            f'DELETE FROM "{CHECKPOINT}" WHERE "diaObjectId" = ?',
            [(identifier,) for identifier in rows.voided.tolist()],
        )
        renewed = np.intersect1d(self._seen.changed, rows.superseded)
        self._connection.executemany(
            f'DELETE FROM "{CHANGED}" WHERE "diaObjectId" = ?', [(identifier,) for identifier in renewed.tolist()]
        )

    def _take_back(self, change: BatchChanges) -> TakenBackRows:
        """Take back what was stored of this batch before."""
        batch, taken = change.entry.id, {}
        for table, rows in ((SOURCES, change.dia_sources), (FORCED_SOURCES, change.forced_sources)):
            names = {table.table: f'"{table.table}"'}
            ids = int_column(rows, table.key)
            noted = [] if self._notes is None else self._notes.noted(table, batch, ids)
            replaced = self._fetch(table.replace_statement("?", CHOSEN).format(**names), *batch, json_of(ids))
            statement = table.withdraw_statement("?").format(**names)
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

    def _fetch(self, statement: str, *parameters: object) -> list[Any]:
        return self._connection.execute(statement, parameters).fetchall()


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
