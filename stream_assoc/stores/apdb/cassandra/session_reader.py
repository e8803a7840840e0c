"""What a session on Cassandra reads, and a reader without one."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.forced import ForcedPoints, GoodSources
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.states import Checkpoints, ObjectHistories, PointsOfObjects, SourcePoints
from stream_assoc.core.model.types import BANDS, BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index
from stream_assoc.pipeline.ports.reader import ChangedObjects, CountedSources, ObjectVersions, SessionSnapshot
from stream_assoc.stores.apdb.arrays import arrays_of
from stream_assoc.stores.apdb.cassandra.database import Database
from stream_assoc.stores.apdb.cassandra.leases import Lease
from stream_assoc.stores.apdb.cassandra.tables import CHECKPOINT, OBJECT
from stream_assoc.stores.apdb.rows.read import (
    checkpoints_of,
    forced_points,
    forced_source_table,
    histories,
    points_of_objects,
    tiled,
)
from stream_assoc.stores.apdb.rows.snapshot import SeenTiles
from stream_assoc.stores.apdb.rows.tables import FORCED_COLUMNS, POINT_COLUMNS, POSITION_COLUMNS, quoted

SOURCES: Final = "DiaSource"
FORCED_SOURCES: Final = "DiaForcedSource"
BAND_INDEX: Final = {band: index for index, band in enumerate(BANDS)}

_LAST: Final = f'SELECT {quoted(POSITION_COLUMNS[1:])} FROM "DiaObjectLast" WHERE apdb_part IN ?'
_VERSIONS: Final = (
    f'SELECT {quoted(POSITION_COLUMNS[1:])}, "validityEndMjdTai", "ra_dec_Cov" '
    f'FROM "{OBJECT}" WHERE "diaObjectId" IN ?'
)
_CHECKPOINTS: Final = (
    f'SELECT "diaObjectId", "validityStartMjdTai", state, layout FROM "{CHECKPOINT}" WHERE "diaObjectId" IN ?'
)
_GOOD: Final = ("diaObjectId", "visit", "detector", "timeWithdrawnMjdTai")
_CRITERIA: Final = ("reliability", "trailLength", "glint_trail", "isDipole")
_TIMES: Final = ("timeProcessedMjdTai", "timeWithdrawnMjdTai", "visit", "detector")


class CassandraSessionReader:
    """`SessionReader` on Cassandra.

    Parameters
    ----------
    database : `Database`
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = SeenTiles()

    def read_snapshot(self, batches: Sequence[BatchId], tiles: IntArray) -> SessionSnapshot:
        """See `SessionReader.read_snapshot`."""
        leases = self._leases_of(np.unique(tiles >> self._database.tile_shift).tolist())
        of_tile = {tile: leases[tile >> self._database.tile_shift] for tile in tiles.tolist()}
        versions = [lease.tile_versions.get(tile, 0) for tile, lease in of_tile.items()]
        last = {batch for tile, lease in of_tile.items() if (batch := lease.last_batches.get(tile)) is not None}
        snapshot = SessionSnapshot(
            entries=self._database.claims.entries(batches),
            tile_versions=np.array(versions, np.int64),
            n_single_source=self._database.leases.single_source_objects(),
            unpublished=tuple(sorted(self._database.outbox.still_waiting(last))),
            changed=self._changed_objects(tiles),
        )
        self._seen.add(tiles, snapshot)
        return snapshot

    def load_tiles(self, tiles: IntArray) -> TiledObjects:
        """See `SessionReader.load_tiles`."""
        pixels = self._database.places.pixels_of(np.unique(tiles), self._database.tile_level)
        positions = ObjectPositions(*arrays_of(self._database.connection.read_in(_LAST, pixels.tolist()), "iddffdn"))
        return tiled(
            tiles, self._database.tile_level, htm_index(positions.ra, positions.dec, PIXEL_ID_LEVEL), positions
        )

    def load_histories(self, diaObjectId: IntArray, without: BatchId | None = None) -> ObjectHistories:
        """See `SessionReader.load_histories`."""
        ids = np.unique(diaObjectId)
        rows = [row for row in self._stored_versions(ids) if row[-2] is None]
        identifier, _, _, raErr, decErr, start, _, _, covariance = arrays_of(rows, "iddffdndf")
        ever = np.full(len(ids), -np.inf)
        versions = (identifier, start, raErr, decErr, covariance)
        return histories(diaObjectId, versions, *self._points_after(ids, ever, without))

    def load_later_points(self, diaObjectId: IntArray, after: FloatArray) -> PointsOfObjects:
        """See `SessionReader.load_later_points`."""
        return points_of_objects(diaObjectId, *self._points_after(diaObjectId, after, None))

    def load_checkpoints(self, diaObjectId: IntArray, layout: int) -> Checkpoints:
        """See `SessionReader.load_checkpoints`."""
        rows = self._database.connection.read_in(_CHECKPOINTS, diaObjectId.tolist())
        return checkpoints_of([row[:3] for row in rows if row[3] == layout], layout)

    def load_forced_points(
        self, diaObjectId: IntArray, after: FloatArray, until: FloatArray, without: BatchId | None = None
    ) -> ForcedPoints:
        """See `SessionReader.load_forced_points`."""
        columns = (*FORCED_COLUMNS, "band", *_TIMES[1:])
        spans = dict(zip(diaObjectId.tolist(), zip(after.tolist(), until.tolist(), strict=True), strict=True))
        chosen = []
        for row in self._database.rows.of_objects(FORCED_SOURCES, diaObjectId, columns, after):
            low, high = spans[row[0]]
            if row[5] is None and low < row[1] <= high and row[6:] != without:
                chosen.append(row)
        return _forced_points(sorted(chosen, key=lambda row: (row[0], row[1], *row[6:])))

    def counted_forced_sources(self, batch: BatchId) -> ForcedPoints:
        """See `SessionReader.counted_forced_sources`."""
        columns = ("visit", "detector", "timeWithdrawnMjdTai", *FORCED_COLUMNS, "band")
        rows = [row[3:] for row in self._database.rows.of_batch(FORCED_SOURCES, batch, columns) if row[2] is None]
        return _forced_points(sorted(rows, key=lambda row: row[0]))

    def forced_source_rows(self, batch: BatchId) -> pa.Table:
        """See `SessionReader.forced_source_rows`."""
        names = apdb_table(FORCED_SOURCES).names
        columns = ("visit", "detector", "timeWithdrawnMjdTai", "diaObjectId", *names)
        rows = [row for row in self._database.rows.of_batch(FORCED_SOURCES, batch, columns) if row[2] is None]
        return forced_source_table([row[4:] for row in sorted(rows, key=lambda row: row[3])])

    def has_good_source(
        self, diaObjectId: IntArray, criteria: GoodSources | None, without: BatchId | None = None
    ) -> BoolArray:
        """See `SessionReader.has_good_source`."""
        columns = _GOOD if criteria is None else (*_GOOD, *_CRITERIA)
        good = [
            row[0]
            for row in self._database.rows.of_objects(SOURCES, np.unique(diaObjectId), columns)
            if row[3] is None and row[1:3] != without and (criteria is None or _is_good(row[4:], criteria))
        ]
        return np.isin(diaObjectId, np.array(good, np.int64))

    def counted_sources(self, batch: BatchId) -> CountedSources:
        """See `SessionReader.counted_sources`."""
        columns = ("visit", "detector", "timeWithdrawnMjdTai", "diaSourceId", "diaObjectId")
        rows = [
            (row[3], row[4] or 0) for row in self._database.rows.of_batch(SOURCES, batch, columns) if row[2] is None
        ]
        return CountedSources(*arrays_of(sorted(rows), "ii"))

    def latest_versions(self, diaObjectId: IntArray) -> ObjectVersions:
        """See `SessionReader.latest_versions`."""
        rows = sorted(self._stored_versions(np.unique(diaObjectId)))
        *columns, ends, _ = arrays_of(rows, "iddffdndf")
        return ObjectVersions(ObjectPositions(*columns), ends)

    def _stored_versions(self, diaObjectId: IntArray) -> list[tuple[Any, ...]]:
        """Return the rows of the latest versions of these objects, of which none comes twice."""
        return self._database.connection.read_in(_VERSIONS, diaObjectId.tolist())

    def _changed_objects(self, tiles: IntArray) -> ChangedObjects:
        cells = np.unique(tiles >> self._database.tile_shift)
        asked = frozenset(tiles.tolist())
        changed = {
            one.diaObjectId: one.tile
            for one in self._database.notices.read(cells.tolist())
            if one.makes_outdated and one.tile in asked
        }
        ids = np.array(sorted(changed), np.int64)
        of_tiles = np.array([changed[one] for one in ids.tolist()], np.int64)
        return ChangedObjects(ids, of_tiles, np.ones(len(ids), np.bool_))

    def _leases_of(self, cells: Sequence[int]) -> dict[int, Lease]:
        """Return what is known of these cells."""
        return self._database.leases.read(cells)

    def _points_after(
        self, diaObjectId: IntArray, after: FloatArray, without: BatchId | None
    ) -> tuple[IntArray, SourcePoints]:
        columns = (*POINT_COLUMNS, "band", *_TIMES, "diaSourceId", *self._database.flag_columns)
        begin = dict(zip(diaObjectId.tolist(), after.tolist(), strict=True))
        width = len(POINT_COLUMNS)
        chosen = []
        for row in self._database.rows.of_objects(SOURCES, diaObjectId, columns, after):
            processed, withdrawn, visit, detector, identifier, *flags = row[width + 1 :]
            if withdrawn is None and processed > begin[row[0]] and (visit, detector) != without:
                chosen.append((row[0], processed, identifier, (*row[:width], _band(row[width]), any(flags))))
        rows = [point for *_, point in sorted(chosen)]
        source_object, *points = arrays_of(rows, "idddddddib")
        return source_object, SourcePoints(*points)


def _forced_points(rows: Sequence[Sequence[Any]]) -> ForcedPoints:
    return forced_points(arrays_of([(*row[:4], _band(row[4])) for row in rows], "idddi"))


def _band(name: str | None) -> int:
    return -1 if name is None else BAND_INDEX.get(name, -1)


def _is_good(values: Sequence[Any], criteria: GoodSources) -> bool:
    reliability, trail, glint, dipole = values
    return (
        reliability is not None
        and reliability >= criteria.min_reliability
        and trail is not None
        and trail <= criteria.max_trail_length
        and glint is False
        and dipole is False
    )
