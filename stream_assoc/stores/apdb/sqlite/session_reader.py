"""What a session on SQLite reads: columns of rows."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.forced import ForcedPoints, GoodSources
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import Checkpoints, ObjectHistories, PointsOfObjects, SourcePoints
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.pipeline.ports.reader import CountedSources, ObjectVersions, SessionSnapshot
from stream_assoc.stores.apdb.arrays import arrays_of
from stream_assoc.stores.apdb.rows.read import (
    checkpoints_of,
    forced_points,
    forced_source_table,
    histories,
    pixel_ranges,
    points_of_objects,
    tiled,
)
from stream_assoc.stores.apdb.rows.snapshot import SeenTiles, snapshot_of
from stream_assoc.stores.apdb.rows.tables import (
    CHANGED,
    CHECKPOINT,
    COUNTER,
    LEDGER,
    LEDGER_COLUMNS,
    OUTBOX,
    POSITION_COLUMNS,
    TILE,
    VERSION_COLUMNS,
    quoted,
)
from stream_assoc.stores.apdb.sql.statements import forced_expressions, forced_source_rows, source_condition
from stream_assoc.stores.apdb.sqlite.values import json_of, spans_of

_LEDGER_SELECT: Final = f'SELECT {quoted(LEDGER_COLUMNS, "l.")} FROM "{LEDGER}" l'
_FORCED_SELECT: Final = f"SELECT {forced_expressions('instr')} FROM"
LATEST_VERSION: Final = (
    '"diaObjectId" = ?1 AND "validityEndMjdTai" IS NULL AND "validityStartMjdTai" = '
    '(SELECT max("validityStartMjdTai") FROM "DiaObject" WHERE "diaObjectId" = ?1)'
)


class SqliteSessionReader:
    """`SessionReader` on one connection.

    Parameters
    ----------
    connection : `sqlite3.Connection`
        In autocommit mode, or in a transaction that reads.
    tile_level : `int`
        HTM level of the tiles.
    points : `str`
        Select list of a source's points.
    """

    def __init__(self, connection: sqlite3.Connection, tile_level: int, points: str) -> None:
        self._connection = connection
        self._tile_level = tile_level
        self._points = points
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

    def load_histories(self, diaObjectId: IntArray, without: BatchId | None = None) -> ObjectHistories:
        """See `ApdbSession.load_histories`."""
        asked = json_of(np.unique(diaObjectId))
        versions = self._fetch(
            f'SELECT {quoted(VERSION_COLUMNS)} FROM json_each(?) r CROSS JOIN "DiaObject" '
            f"WHERE {LATEST_VERSION.replace('?1', 'r.value')}",
            asked,
        )
        ids = np.unique(diaObjectId)
        ever = np.full(len(ids), -np.inf)
        return histories(diaObjectId, arrays_of(versions, "idfff"), *self._points_after(ids, ever, without))

    def load_later_points(self, diaObjectId: IntArray, after: FloatArray) -> PointsOfObjects:
        """See `ApdbSession.load_later_points`."""
        return points_of_objects(diaObjectId, *self._points_after(diaObjectId, after, None))

    def _points_after(
        self, diaObjectId: IntArray, after: FloatArray, without: BatchId | None
    ) -> tuple[IntArray, SourcePoints]:
        points = self._fetch(
            f'SELECT {self._points} FROM json_each(?) r CROSS JOIN "DiaSource" '
            "WHERE \"diaObjectId\" = json_extract(r.value, '$[0]') "
            "AND \"timeProcessedMjdTai\" > json_extract(r.value, '$[1]') "
            'AND "timeWithdrawnMjdTai" IS NULL AND NOT (visit IS ? AND detector IS ?) '
            'ORDER BY "diaObjectId", "timeProcessedMjdTai", "diaSourceId"',
            spans_of(diaObjectId, after),
            *(without or (None, None)),
        )
        source_object, *columns = arrays_of(points, "idddddddib")
        return source_object, SourcePoints(*columns)

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

    def _fetch(self, statement: str, *parameters: object) -> list[Any]:
        return self._connection.execute(statement, parameters).fetchall()
