"""`ApdbReader` for databases that speak SQL; a backend adds what its dialect says differently.

A statement names a table as ``{DiaObject}`` and a parameter as ``?``. A list of
numbers is bound as JSON text and read back by `SqlDatabase.numbers` or
`SqlDatabase.ranges`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.alerts import AsOf
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.vectors import separation_arcsec
from stream_assoc.stores.apdb.reading.answers import (
    Row,
    check_ids,
    checked_limit,
    positions_of,
    schema_of,
    table_of,
    too_many_objects,
)
from stream_assoc.stores.apdb.reading.port import MAX_ROWS, Nearby, Overview
from stream_assoc.stores.apdb.rows.entries import ledger_entry
from stream_assoc.stores.apdb.rows.tables import (
    COUNTER,
    FURTHER,
    KEYS,
    LEDGER,
    LEDGER_COLUMNS,
    POSITION_COLUMNS,
    TILE,
    quoted,
)
from stream_assoc.stores.apdb.sql.cones import cone

_POSITIONS: Final = POSITION_COLUMNS[1:]
_SEARCH_ROWS: Final = 20_000
"""The most objects read for one cone; a cone that holds more is narrowed."""
_NARROWER: Final = 3.0
_LEAST_RADIUS_ARCSEC: Final = 0.1
_RANGES_A_QUERY: Final = 500
_REVISIONS: Final = 1000


class SqlDatabase(Protocol):
    """A connection to an SQL database that may only read. Threads may share it.

    Every method raises `ApdbUnavailableError` if the database is away or takes
    too long, and `ApdbSchemaError` if it lacks what the statement names.

    Attributes
    ----------
    numbers : `str`
        SELECT of one column of integers; its parameter is a JSON list of them.
    ranges : `str`
        SELECT of the columns ``low`` and ``high``; its parameter is a JSON list
        of pairs of integers.
    """

    numbers: str
    ranges: str

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a SELECT."""

    def select(self, table: str, columns: Sequence[str], rest: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Return columns of the rows of a table that the rest of a SELECT chooses, in Rubin's types."""

    def stream(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[list[Row]]:
        """Yield the rows of a SELECT that reads a whole table, some ten thousand at a time; never an empty list."""

    def seconds_behind(self) -> float | None:
        """See `ApdbReader.seconds_behind`."""

    def column_names(self, table: str) -> Sequence[str]:
        """Return the columns of a table in their order; none if there is no such table."""

    def estimated_rows(self) -> Mapping[str, int]:
        """Return about how many rows DiaObject, DiaObjectLast, DiaSource and DiaForcedSource have.

        The numbers come from statistics and keys, not from counting, so this
        takes milliseconds whatever the size of the tables.
        """

    def close(self) -> None:
        """Release every connection."""


class SqlReader:
    """`ApdbReader` on an SQL database.

    Parameters
    ----------
    database : `SqlDatabase`
    """

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def overview(self) -> Overview:
        """See `ApdbReader.overview`."""
        rows = self._database.estimated_rows()
        ((single,),) = self._database.fetch(f"SELECT coalesce(sum(n_single_source), 0) FROM {{{COUNTER}}}")
        ((last,),) = self._database.fetch('SELECT max("validityStartMjdTai") FROM {DiaObject}')
        return Overview(
            n_objects=rows["DiaObjectLast"],
            n_object_versions=rows["DiaObject"],
            n_sources=rows["DiaSource"],
            n_forced_sources=rows["DiaForcedSource"],
            n_single_source=int(single),
            last_processed=last,
        )

    def seconds_behind(self) -> float | None:
        """See `ApdbReader.seconds_behind`."""
        return self._database.seconds_behind()

    def versions(self, diaObjectId: int, limit: int = 1000) -> pa.Table:
        """See `ApdbReader.versions`."""
        return self._select(
            "DiaObject",
            'WHERE "diaObjectId" = ? ORDER BY "validityStartMjdTai" DESC LIMIT ?',
            (diaObjectId, checked_limit(limit)),
        )

    def first_version(self, diaObjectId: int) -> float | None:
        """See `ApdbReader.first_version`."""
        ((first,),) = self._fetch(
            'SELECT min("validityStartMjdTai") FROM {DiaObject} WHERE "diaObjectId" = ?', (diaObjectId,)
        )
        return None if first is None else float(first)

    def recent_objects(self, limit: int = 500) -> pa.Table:
        """See `ApdbReader.recent_objects`."""
        return self._select(
            "DiaObject",
            'WHERE "validityEndMjdTai" IS NULL ORDER BY "validityStartMjdTai" DESC LIMIT ?',
            (checked_limit(limit),),
        )

    def near(self, ra: float, dec: float, radius_deg: float, limit: int = 1000) -> Nearby:
        """See `ApdbReader.near`."""
        radius_arcsec = 3600.0 * radius_deg
        checked_limit(limit)
        is_narrowed = False
        while True:
            rows = self._database.fetch(
                f"SELECT {quoted(_POSITIONS, 'o.')} FROM ({self._database.ranges}) r CROSS JOIN {{DiaObjectLast}} o "
                'WHERE o."pixelId" BETWEEN r.low AND r.high LIMIT ?',
                (_json(cone([ra], [dec], radius_arcsec)), _SEARCH_ROWS),
            )
            if len(rows) < _SEARCH_ROWS or radius_arcsec < _LEAST_RADIUS_ARCSEC:
                break
            # The rows read are any of the objects; the nearest may not be among them.
            radius_arcsec /= _NARROWER
            is_narrowed = True
        found = positions_of(rows)
        separation = separation_arcsec(ra, dec, found.ra, found.dec)
        order = np.argsort(separation, kind="stable")
        order = order[separation[order] <= radius_arcsec]
        is_complete = not is_narrowed and len(order) <= limit
        return Nearby(found.take(order[:limit]), separation[order[:limit]], is_complete)

    def sky_before(
        self, ra: FloatArray, dec: FloatArray, radius_arcsec: float, time: float, limit: int = MAX_ROWS
    ) -> ObjectPositions:
        """See `ApdbReader.sky_before`."""
        if not len(ra):
            return ObjectPositions.empty()
        rows: list[Row] = []
        ranges = cone(ra, dec, radius_arcsec)
        for some in np.array_split(ranges, range(_RANGES_A_QUERY, len(ranges), _RANGES_A_QUERY)):
            rows += self._fetch(
                f"SELECT {quoted(_POSITIONS, 'o.')} FROM ({self._database.ranges}) r CROSS JOIN {{DiaObject}} o "
                'WHERE o."pixelId" BETWEEN r.low AND r.high AND o."validityStartMjdTai" < ? '
                'AND (o."validityEndMjdTai" IS NULL OR o."validityEndMjdTai" >= ?) LIMIT ?',
                (_json(some), time, time, checked_limit(limit) + 1 - len(rows)),
            )
            if len(rows) > limit:
                raise too_many_objects(limit)
        found = positions_of(rows)
        return found.take(np.argsort(found.diaObjectId, kind="stable"))

    def source(self, diaSourceId: int) -> pa.Table:
        """See `ApdbReader.source`."""
        return self._select("DiaSource", 'WHERE "diaSourceId" = ?', (diaSourceId,))

    def sources_of_objects(
        self, diaObjectId: IntArray, limit: int = 10_000, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """See `ApdbReader.sources_of_objects`."""
        return self._select(
            "DiaSource",
            f'WHERE "diaObjectId" IN ({self._database.numbers}) '
            'ORDER BY "diaObjectId", "timeProcessedMjdTai", "diaSourceId" LIMIT ?',
            (_json(np.unique(diaObjectId)), checked_limit(limit)),
            columns,
        )

    def forced_sources(self, diaObjectId: int, limit: int = 10_000, columns: Sequence[str] | None = None) -> pa.Table:
        """See `ApdbReader.forced_sources`."""
        return self._select(
            "DiaForcedSource",
            'WHERE "diaObjectId" = ? ORDER BY "diaObjectId", visit, detector LIMIT ?',
            (diaObjectId, checked_limit(limit)),
            columns,
        )

    def versions_made(self, diaObjectId: IntArray, time: float) -> pa.Table:
        """See `ApdbReader.versions_made`."""
        return self._select(
            "DiaObject",
            f'WHERE "diaObjectId" IN ({self._database.numbers}) AND "validityStartMjdTai" = ? LIMIT ?',
            (_json(np.unique(diaObjectId)), time, MAX_ROWS),
        )

    def sources_before(self, diaObjectId: IntArray, as_of: AsOf, limit: int = MAX_ROWS) -> pa.Table:
        """See `ApdbReader.sources_before`."""
        return self._as_of("DiaSource", "<", '"diaSourceId"', diaObjectId, as_of, limit)

    def forced_sources_until(self, diaObjectId: IntArray, as_of: AsOf, limit: int = MAX_ROWS) -> pa.Table:
        """See `ApdbReader.forced_sources_until`."""
        return self._as_of("DiaForcedSource", "<=", "visit, detector", diaObjectId, as_of, limit)

    def sources_of_batch(
        self, batch: BatchId, time: float | None = None, limit: int = 100_000, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """See `ApdbReader.sources_of_batch`."""
        chosen = '"timeWithdrawnMjdTai" IS NULL' if time is None else '"timeProcessedMjdTai" = ?'
        parameters = (*batch, checked_limit(limit)) if time is None else (*batch, time, checked_limit(limit))
        return self._select(
            "DiaSource",
            f'WHERE visit = ? AND detector = ? AND {chosen} ORDER BY "diaSourceId" LIMIT ?',
            parameters,
            columns,
        )

    def processings(self, batch: BatchId) -> tuple[LedgerEntry, ...]:
        """See `ApdbReader.processings`."""
        latest = self._ledger("WHERE visit = ? AND detector = ? ORDER BY revision DESC LIMIT ?", (*batch, _REVISIONS))
        return tuple(reversed(latest))

    def batches_of_visit(self, visit: int, limit: int = 1000) -> list[LedgerEntry]:
        """See `ApdbReader.batches_of_visit`."""
        return self._ledger("WHERE visit = ? ORDER BY detector, revision LIMIT ?", (visit, checked_limit(limit)))

    def recent_batches(self, limit: int = 100) -> list[LedgerEntry]:
        """See `ApdbReader.recent_batches`."""
        return self._ledger("ORDER BY visit DESC, detector DESC, revision DESC LIMIT ?", (checked_limit(limit),))

    def coverage(self, tile_level: int, level: int, limit: int = 40_000) -> tuple[IntArray, IntArray]:
        """See `ApdbReader.coverage`."""
        rows = self._database.fetch(
            f"SELECT tile >> {2 * (tile_level - level)} AS trixel, CAST(sum(version) AS BIGINT) FROM {{{TILE}}} "
            "GROUP BY trixel ORDER BY trixel LIMIT ?",
            (checked_limit(limit),),
        )
        columns = np.array(rows, np.int64).reshape(-1, 2).T
        return columns[0], columns[1]

    def all_versions(self, columns: Sequence[str] | None = None, *, only_current: bool = False) -> pa.Table:
        """See `ApdbReader.all_versions`."""
        return self._scan("DiaObject", columns, ['"validityEndMjdTai" IS NULL'] if only_current else [])

    def all_further_statistics(self) -> pa.Table:
        """See `ApdbReader.all_further_statistics`."""
        keys = KEYS["DiaObject"]
        names = [*keys, *(name for name in self._database.column_names(FURTHER) if name not in keys)]
        # Every version has a row, which says nothing without a statistic.
        chunks = self._database.stream(f"SELECT {quoted(names)} FROM {{{FURTHER}}}") if len(names) > len(keys) else ()
        return table_of(
            pa.schema([(name, pa.int64() if name == keys[0] else pa.float64()) for name in names]), chunks
        )

    def all_sources(
        self,
        columns: Sequence[str] | None = None,
        *,
        only_counted: bool = False,
        observed: tuple[float, float] | None = None,
    ) -> pa.Table:
        """See `ApdbReader.all_sources`."""
        conditions = ['"timeWithdrawnMjdTai" IS NULL'] if only_counted else []
        if observed is not None:
            conditions.append('"midpointMjdTai" >= ? AND "midpointMjdTai" < ?')
        return self._scan("DiaSource", columns, conditions, observed or ())

    def all_forced_sources(self, columns: Sequence[str] | None = None) -> pa.Table:
        """See `ApdbReader.all_forced_sources`."""
        return self._scan("DiaForcedSource", columns)

    def objects_observed_since(self, midpointMjdTai: float, columns: Sequence[str] | None = None) -> pa.Table:
        """See `ApdbReader.objects_observed_since`."""
        return self._scan("DiaObjectLast", columns, ['"lastDiaSourceMjdTai" >= ?'], (midpointMjdTai,))

    def close(self) -> None:
        """Release every connection."""
        self._database.close()

    def _select(
        self, table: str, rest: str, parameters: Sequence[object], columns: Sequence[str] | None = None
    ) -> pa.Table:
        check_ids(parameters)
        return self._database.select(table, columns or apdb_table(table).names, rest, parameters)

    def _as_of(
        self, table: str, processed: str, order: str, diaObjectId: IntArray, as_of: AsOf, limit: int
    ) -> pa.Table:
        return self._select(
            table,
            f'WHERE "diaObjectId" IN ({self._database.numbers}) AND "timeProcessedMjdTai" {processed} ? '
            'AND ("timeWithdrawnMjdTai" IS NULL OR "timeWithdrawnMjdTai" > ?) AND "midpointMjdTai" >= ? '
            f'ORDER BY "diaObjectId", "midpointMjdTai", {order} LIMIT ?',
            (_json(np.unique(diaObjectId)), as_of.time, as_of.time, as_of.observed_since, checked_limit(limit)),
        )

    def _scan(
        self, table: str, columns: Sequence[str] | None, conditions: Sequence[str] = (), values: Sequence[float] = ()
    ) -> pa.Table:
        columns = columns or apdb_table(table).names
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        chunks = self._database.stream(f"SELECT {quoted(columns)} FROM {{{table}}}{where}", values)
        return table_of(schema_of(table, columns), chunks)

    def _ledger(self, rest: str, parameters: Sequence[object]) -> list[LedgerEntry]:
        rows = self._fetch(f"SELECT {quoted(LEDGER_COLUMNS)} FROM {{{LEDGER}}} {rest}", parameters)
        return [ledger_entry(row) for row in rows]

    def _fetch(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        check_ids(parameters)
        return self._database.fetch(statement, parameters)


def _json(values: IntArray) -> str:
    return json.dumps(values.tolist())
