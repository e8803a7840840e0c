"""What a session on PostgreSQL reads: whole columns, in few round trips."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.forced import ForcedPoints, GoodSources
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import Checkpoints, ObjectHistories, PointsOfObjects, SourcePoints
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.pipeline.ports.reader import CountedSources, ObjectVersions, SessionSnapshot
from stream_assoc.stores.apdb.postgresql.column_query import array_literal, column_query, columns_of
from stream_assoc.stores.apdb.postgresql.connection import BoundedConnection
from stream_assoc.stores.apdb.postgresql.queries import (
    CHANGED_QUERY,
    CHECKPOINTS,
    COUNTED,
    COUNTED_FORCED,
    COUNTER_QUERY,
    FORCED_POINTS,
    FORCED_TYPES,
    HAVE_SOURCE,
    LATER_POINTS,
    LATEST_VERSIONS,
    LEDGER_QUERY,
    POINT_DTYPES,
    POINT_TYPES,
    POINTS,
    POSITION_TYPES,
    TILE_QUERY,
    VERSION_TYPES,
    VERSIONS,
)
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
from stream_assoc.stores.apdb.rows.tables import POSITION_COLUMNS, quoted
from stream_assoc.stores.apdb.sql.statements import forced_source_rows, source_condition


class PostgresqlSessionReader:
    """`SessionReader` on one connection.

    Parameters
    ----------
    connection : `BoundedConnection`
        In autocommit mode, or in a transaction that reads.
    names : mapping
        Quoted name of each table, from the catalogue.
    tile_level : `int`
        HTM level of the tiles.
    points : `str`
        Select list of a source's points.
    """

    def __init__(self, connection: BoundedConnection, names: Mapping[str, str], tile_level: int, points: str) -> None:
        self._connection = connection
        self._names = names
        self._tile_level = tile_level
        self._points = points
        self._seen = SeenTiles()

    def read_snapshot(self, batches: Sequence[BatchId], tiles: IntArray) -> SessionSnapshot:
        """See `ApdbSession.read_snapshot`."""
        visits, detectors = [batch.visit for batch in batches], [batch.detector for batch in batches]
        with self._connection.pipeline():
            ledger = self._execute(LEDGER_QUERY, visits, detectors)
            versions = self._execute(TILE_QUERY, array_literal(tiles))
            total = self._execute(COUNTER_QUERY)
            changed = self._execute(CHANGED_QUERY, array_literal(tiles))
        snapshot = snapshot_of(
            ledger.fetchall(), tiles, versions.fetchall(), total.fetchall()[0][0], changed.fetchall()
        )
        self._seen.add(tiles, snapshot)
        return snapshot

    def load_tiles(self, tiles: IntArray) -> TiledObjects:
        """See `ApdbSession.load_tiles`."""
        # Written out, not bound: the planner judges constants by the table's statistics, parameters by guessing.
        ranges = pixel_ranges(tiles, self._tile_level).tolist()
        condition = " OR ".join(f'"pixelId" BETWEEN {first} AND {last}' for first, last in ranges) or "FALSE"
        statement = f"SELECT {quoted(POSITION_COLUMNS)} FROM {{DiaObjectLast}} WHERE {condition}"
        pixelId, *columns = self._read(statement, POSITION_TYPES)
        return tiled(tiles, self._tile_level, pixelId, ObjectPositions(*columns))

    def load_histories(self, diaObjectId: IntArray, without: BatchId | None = None) -> ObjectHistories:
        """See `ApdbSession.load_histories`."""
        ids = array_literal(np.unique(diaObjectId))
        versions = self._read(VERSIONS, VERSION_TYPES, ids)
        return histories(diaObjectId, versions, *self._read_points(POINTS, ids, *(without or (None, None))))

    def load_later_points(self, diaObjectId: IntArray, after: FloatArray) -> PointsOfObjects:
        """See `ApdbSession.load_later_points`."""
        asked = array_literal(diaObjectId), array_literal(after)
        return points_of_objects(diaObjectId, *self._read_points(LATER_POINTS, *asked))

    def _read_points(self, query: str, *parameters: object) -> tuple[IntArray, SourcePoints]:
        source_object, *columns = self._read(query.replace("{points}", self._points), POINT_TYPES, *parameters)
        points = SourcePoints(*[column.astype(dtype) for column, dtype in zip(columns, POINT_DTYPES, strict=True)])
        return source_object, points

    def load_checkpoints(self, diaObjectId: IntArray, layout: int) -> Checkpoints:
        """See `ApdbSession.load_checkpoints`."""
        return checkpoints_of(self._execute(CHECKPOINTS, array_literal(diaObjectId), layout).fetchall(), layout)

    def load_forced_points(
        self, diaObjectId: IntArray, after: FloatArray, until: FloatArray, without: BatchId | None = None
    ) -> ForcedPoints:
        """See `ApdbSession.load_forced_points`."""
        spans = (array_literal(diaObjectId), array_literal(after), array_literal(until))
        return forced_points(self._read(FORCED_POINTS, FORCED_TYPES, *spans, *(without or (None, None))))

    def counted_forced_sources(self, batch: BatchId) -> ForcedPoints:
        """See `ApdbSession.counted_forced_sources`."""
        return forced_points(self._read(COUNTED_FORCED, FORCED_TYPES, *batch))

    def forced_source_rows(self, batch: BatchId) -> pa.Table:
        """See `ApdbSession.forced_source_rows`."""
        return forced_source_table(self._execute(forced_source_rows("%s"), *batch).fetchall())

    def has_good_source(
        self, diaObjectId: IntArray, criteria: GoodSources | None, without: BatchId | None = None
    ) -> BoolArray:
        """See `ApdbSession.has_good_source`."""
        condition, limits = source_condition("%s", criteria)
        query, parameters = HAVE_SOURCE.replace("{condition}", condition), (*limits, *(without or (None, None)))
        (ids,) = self._read(query, ("int8",), array_literal(np.unique(diaObjectId)), *parameters)
        return np.isin(diaObjectId, ids)

    def counted_sources(self, batch: BatchId) -> CountedSources:
        """See `ApdbSession.counted_sources`."""
        return CountedSources(*self._read(COUNTED, ("int8", "int8"), *batch))

    def latest_versions(self, diaObjectId: IntArray) -> ObjectVersions:
        """See `ApdbSession.latest_versions`."""
        ids = array_literal(np.unique(diaObjectId))
        *columns, ends = self._read(LATEST_VERSIONS, (*POSITION_TYPES[1:], "float8"), ids)
        return ObjectVersions(ObjectPositions(*columns), ends)

    def _read(self, statement: str, types: tuple[str, ...], *parameters: object) -> list[np.ndarray[Any, Any]]:
        # Not prepared: a plan that is kept takes any array for one of ten, and looks for ten thousand one by one.
        query = self._named(column_query(statement, types))
        cursor = self._connection.execute(query, parameters or None, binary=True, prepare=False)
        return columns_of(cursor.fetchall()[0], types)

    def _execute(self, statement: str, *parameters: object) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(self._named(statement), parameters or None, binary=True)

    def _named(self, statement: str) -> bytes:
        return statement.format(**self._names).encode()
