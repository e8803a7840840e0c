"""`ApdbReader` on Cassandra.

Lookups go through our tables, which the plans of batches fill: they know
nothing of what dax_apdb itself has stored. That is found by a position, by
the id of a source, and in whole tables.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.alerts import AsOf
from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.batch_rows import RowKeys, read_row_keys
from stream_assoc.stores.apdb.cassandra.compatibility import read_columns, read_layout, read_report
from stream_assoc.stores.apdb.cassandra.contents import Contents
from stream_assoc.stores.apdb.cassandra.keyed_rows import KeyedRows
from stream_assoc.stores.apdb.cassandra.leases import count_single_source_objects
from stream_assoc.stores.apdb.cassandra.near import objects_near
from stream_assoc.stores.apdb.cassandra.past import Past
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.tables import LEASE, LEDGER
from stream_assoc.stores.apdb.cassandra.whole_tables import WholeTables
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.answers import (
    Row,
    batch_of,
    check_ids,
    checked_limit,
    further_schema,
    schema_of,
    table_of,
)
from stream_assoc.stores.apdb.reading.port import MAX_ROWS, Nearby, Overview
from stream_assoc.stores.apdb.rows.entries import ledger_entry
from stream_assoc.stores.apdb.rows.tables import FURTHER, KEYS, LEDGER_COLUMNS, quoted

_REVISIONS: Final = 1000
_GREATEST_DETECTOR: Final = 2**31 - 1

_SOURCE: Final = 'SELECT apdb_part, apdb_time_part FROM "DiaSourceToPartition" WHERE "diaSourceId" = ?'
_ENTRY: Final = f'SELECT {quoted(LEDGER_COLUMNS)} FROM "{LEDGER}" WHERE visit = ? AND detector = ? AND revision = ?'
_SOURCE_ORDER: Final = ("diaObjectId", "timeProcessedMjdTai", "diaSourceId")
_FORCED_ORDER: Final = ("visit", "detector")
_BATCH_ORDER: Final = ("diaSourceId", "timeProcessedMjdTai")
_COUNTED: Final = ("timeProcessedMjdTai", "timeWithdrawnMjdTai")
_HISTORY_ORDER: Final = ("diaObjectId", "midpointMjdTai")

Chooser: TypeAlias = Callable[[pa.Array], pa.BooleanArray]
"""Tells of a column's values which rows to keep; NULL keeps none."""


class CassandraReader:
    """`ApdbReader` of a keyspace. It does not write: nothing else keeps it from that but the user's permissions.

    There is no one moment over several tables, nor over the pages of one: what
    a batch stores meanwhile may be in an answer in parts. Ledger entries are told once the rows of
    their batch are there.

    Parameters
    ----------
    url : `CassandraUrl`
    patience : `Patience`
        How long to wait for the ring.
    any_version : `bool`
        Accept an APDB that is not prepared for this version of the package.

    Raises
    ------
    ApdbSchemaError
        If the keyspace holds no APDB, or none prepared for this package.
    """

    def __init__(self, url: CassandraUrl, patience: Patience, *, any_version: bool) -> None:
        self._connection = url.connect(patience)
        try:
            if not any_version:
                read_report(self._connection)
            self._layout = layout = read_layout(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._places = Places.of(layout)
        self._whole = WholeTables(self._connection, layout)
        self._rows = KeyedRows(self._connection, self._places)
        self._contents = Contents(self._connection)
        self._past = Past(self._connection, self._places, self._rows, self._contents)

    def overview(self) -> Overview:
        """See `ApdbReader.overview`: rows are estimated by samples of the tokens."""
        return Overview(
            n_objects=self._whole.estimated_rows("DiaObjectLast"),
            n_object_versions=self._whole.estimated_rows("DiaObject"),
            n_sources=self._whole.estimated_rows("DiaSource"),
            n_forced_sources=self._whole.estimated_rows("DiaForcedSource"),
            n_single_source=count_single_source_objects(self._connection),
            last_processed=self._past.latest_start(),
        )

    def seconds_behind(self) -> None:
        """See `ApdbReader.seconds_behind`: a majority of the nodes has what was stored."""
        return

    def versions(self, diaObjectId: int, limit: int = 1000) -> pa.Table:
        """See `ApdbReader.versions`."""
        check_ids([diaObjectId])
        columns = apdb_table("DiaObject").names
        return _table("DiaObject", columns, self._past.versions(diaObjectId, checked_limit(limit), columns))

    def first_version(self, diaObjectId: int) -> float | None:
        """See `ApdbReader.first_version`."""
        check_ids([diaObjectId])
        return self._past.first_start(diaObjectId)

    def recent_objects(self, limit: int = 500) -> pa.Table:
        """See `ApdbReader.recent_objects`."""
        columns = apdb_table("DiaObject").names
        return _table("DiaObject", columns, self._past.newest(checked_limit(limit), columns))

    def near(self, ra: float, dec: float, radius_deg: float, limit: int = 1000) -> Nearby:
        """See `ApdbReader.near`: a circle of too many partitions is narrowed too."""
        checked_limit(limit)
        return objects_near(self._connection, self._places, ra, dec, radius_deg, limit)

    def sky_before(
        self, ra: FloatArray, dec: FloatArray, radius_arcsec: float, time: float, limit: int = MAX_ROWS
    ) -> ObjectPositions:
        """See `ApdbReader.sky_before`."""
        checked_limit(limit)
        return self._past.before(ra, dec, radius_arcsec, time, limit) if len(ra) else ObjectPositions.empty()

    def source(self, diaSourceId: int) -> pa.Table:
        """See `ApdbReader.source`."""
        check_ids([diaSourceId])
        # dax_apdb notes the time partition of the visit, and stores a source in that of its midpoint.
        keys = [
            ((part, time_part), diaSourceId)
            for part, noted in self._connection.read(_SOURCE, diaSourceId)
            for time_part in range(noted - 1, noted + 2)
        ]
        columns = apdb_table("DiaSource").names
        return _table("DiaSource", columns, self._rows.read("DiaSource", keys, columns))

    def sources_of_objects(
        self, diaObjectId: IntArray, limit: int = 10_000, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """See `ApdbReader.sources_of_objects`."""
        checked_limit(limit)
        wanted = frozenset(np.unique(diaObjectId).tolist())
        partitions = {one for places in self._rows.places("DiaSource", wanted).values() for one in places}
        columns = columns or apdb_table("DiaSource").names
        kept: list[Row] = []
        for page in self._rows.pages("DiaSource", partitions, (*_SOURCE_ORDER, *columns)):
            kept += (row for row in page if row[0] in wanted)
            if len(kept) > 2 * limit + len(page):
                kept = _first(kept, limit, len(_SOURCE_ORDER))
        return _table("DiaSource", columns, _first(kept, limit, len(_SOURCE_ORDER)), len(_SOURCE_ORDER))

    def forced_sources(self, diaObjectId: int, limit: int = 10_000, columns: Sequence[str] | None = None) -> pa.Table:
        """See `ApdbReader.forced_sources`."""
        check_ids([diaObjectId])
        checked_limit(limit)
        columns = columns or apdb_table("DiaForcedSource").names
        places = self._rows.places("DiaForcedSource", [diaObjectId]).get(diaObjectId, [])
        keys = [(place, diaObjectId) for place in places]
        rows = self._rows.read("DiaForcedSource", keys, (*_FORCED_ORDER, *columns))
        return _table("DiaForcedSource", columns, _first(rows, limit, len(_FORCED_ORDER)), len(_FORCED_ORDER))

    def versions_made(self, diaObjectId: IntArray, time: float) -> pa.Table:
        """See `ApdbReader.versions_made`."""
        columns, time_part = apdb_table("DiaObject").names, self._time_part(time)
        places = self._rows.places("DiaObject", np.unique(diaObjectId).tolist())
        keys = [(one, identifier) for identifier, of_one in places.items() for one in of_one if one[1] == time_part]
        rows = self._rows.read("DiaObject", keys, ("validityStartMjdTai", *columns))
        return _table("DiaObject", columns, [row for row in rows if row[0] == time], 1)

    def sources_before(self, diaObjectId: IntArray, as_of: AsOf, limit: int = MAX_ROWS) -> pa.Table:
        """See `ApdbReader.sources_before`."""
        checked_limit(limit)
        wanted, columns = frozenset(np.unique(diaObjectId).tolist()), apdb_table("DiaSource").names
        places = self._rows.places("DiaSource", wanted).values()
        partitions = {one for of_one in places for one in of_one if one[1] >= self._time_part(as_of.observed_since)}
        order = (*_HISTORY_ORDER, "diaSourceId")
        pages = self._rows.pages("DiaSource", partitions, (*_COUNTED, *order, *columns))
        found = (row for page in pages for row in page if row[2] in wanted and row[0] < as_of.time)
        rows = [row[2:] for row in found if _counted(row, as_of)]
        return _table("DiaSource", columns, _first(rows, limit, len(order)), len(order))

    def forced_sources_until(self, diaObjectId: IntArray, as_of: AsOf, limit: int = MAX_ROWS) -> pa.Table:
        """See `ApdbReader.forced_sources_until`."""
        checked_limit(limit)
        columns, first = apdb_table("DiaForcedSource").names, self._time_part(as_of.observed_since)
        places = self._rows.places("DiaForcedSource", np.unique(diaObjectId).tolist())
        keys = [(one, identifier) for identifier, of_one in places.items() for one in of_one if one[1] >= first]
        order = (*_HISTORY_ORDER, *_FORCED_ORDER)
        found = self._rows.read("DiaForcedSource", keys, (*_COUNTED, *order, *columns))
        rows = [row[2:] for row in found if row[0] <= as_of.time and _counted(row, as_of)]
        return _table("DiaForcedSource", columns, _first(rows, limit, len(order)), len(order))

    def sources_of_batch(
        self, batch: BatchId, time: float | None = None, limit: int = 100_000, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """See `ApdbReader.sources_of_batch`."""
        check_ids(batch)
        checked_limit(limit)
        columns = columns or apdb_table("DiaSource").names
        stored = read_row_keys(self._connection, batch, "DiaSource") if _may_be_stored(batch) else RowKeys.none()
        places = zip(stored.parts.tolist(), stored.time_parts.tolist(), strict=True)
        keys = zip(places, stored.identifiers.tolist(), strict=True)
        rows = [
            row[1:]
            for row in self._rows.read("DiaSource", keys, ("timeWithdrawnMjdTai", *_BATCH_ORDER, *columns))
            if (row[0] is None if time is None else row[2] == time)
        ]
        return _table("DiaSource", columns, _first(rows, limit, len(_BATCH_ORDER)), len(_BATCH_ORDER))

    def processings(self, batch: BatchId) -> tuple[LedgerEntry, ...]:
        """See `ApdbReader.processings`."""
        check_ids(batch)
        return tuple(self._entries(self._contents.of_batch(batch, _REVISIONS) if _may_be_stored(batch) else []))

    def batches_of_visit(self, visit: int, limit: int = 1000) -> list[LedgerEntry]:
        """See `ApdbReader.batches_of_visit`."""
        check_ids([visit])
        return self._entries(self._contents.of_visit(visit, checked_limit(limit)))

    def recent_batches(self, limit: int = 100) -> list[LedgerEntry]:
        """See `ApdbReader.recent_batches`."""
        return self._entries(islice(self._contents.batches(), checked_limit(limit)))

    def coverage(self, tile_level: int, level: int, limit: int = 40_000) -> tuple[IntArray, IntArray]:
        """See `ApdbReader.coverage`: the leases of all cells are read, which know the versions of their tiles."""
        checked_limit(limit)
        changes = Counter[int]()
        for page in self._whole.pages(LEASE, ("tile_versions",), ("region",)):
            for (versions,) in page:
                for tile, version in (versions or {}).items():
                    changes[tile >> 2 * (tile_level - level)] += version
        trixels = np.array(sorted(changes)[:limit], np.int64)
        return trixels, np.array([changes[trixel] for trixel in trixels.tolist()], np.int64)

    def all_versions(self, columns: Sequence[str] | None = None, *, only_current: bool = False) -> pa.Table:
        """See `ApdbReader.all_versions`."""
        current = {"validityEndMjdTai": pc.is_null} if only_current else {}
        return self._scan("DiaObject", columns, current)

    def all_further_statistics(self) -> pa.Table:
        """See `ApdbReader.all_further_statistics`."""
        keys = KEYS["DiaObject"]
        names = [*keys, *sorted(read_columns(self._connection).get(FURTHER, frozenset()) - frozenset(keys))]
        # Every version has a row, which says nothing without a statistic.
        pages = self._whole.pages(FURTHER, names, keys[:1]) if len(names) > len(keys) else ()
        return table_of(further_schema(names), pages)

    def all_sources(
        self,
        columns: Sequence[str] | None = None,
        *,
        only_counted: bool = False,
        observed: tuple[float, float] | None = None,
    ) -> pa.Table:
        """See `ApdbReader.all_sources`."""
        chosen: dict[str, Chooser] = {"timeWithdrawnMjdTai": pc.is_null} if only_counted else {}
        if observed is not None:
            begin, end = observed
            chosen["midpointMjdTai"] = lambda times: pc.and_(pc.greater_equal(times, begin), pc.less(times, end))
        return self._scan("DiaSource", columns, chosen)

    def all_forced_sources(self, columns: Sequence[str] | None = None) -> pa.Table:
        """See `ApdbReader.all_forced_sources`."""
        return self._scan("DiaForcedSource", columns, {})

    def objects_observed_since(self, midpointMjdTai: float, columns: Sequence[str] | None = None) -> pa.Table:
        """See `ApdbReader.objects_observed_since`."""
        return self._scan(
            "DiaObjectLast",
            columns,
            {"lastDiaSourceMjdTai": lambda times: pc.greater_equal(times, midpointMjdTai)},
        )

    def close(self) -> None:
        """Release every connection."""
        self._connection.close()

    def _time_part(self, time: float) -> int:
        return int(self._places.time_parts(np.array([time]))[0])

    def _entries(self, batches: Iterable[BatchRevision]) -> list[LedgerEntry]:
        return [ledger_entry(row) for rows in self._connection.read_each(_ENTRY, batches) for row in rows]

    def _scan(self, table: str, columns: Sequence[str] | None, chosen: Mapping[str, Chooser]) -> pa.Table:
        """Return columns of all rows that are chosen by each of some columns."""
        columns = columns or apdb_table(table).names
        # Cassandra would read as much for fewer rows, and not return before it has found a page of them.
        schema = schema_of(table, [*columns, *(name for name in chosen if name not in columns)])
        batches = []
        for page in self._whole.pages(table, schema.names):
            batch = batch_of(schema, page)
            for name, choose in chosen.items():
                batch = batch.filter(choose(batch.column(name)))
            batches.append(batch.select(columns))
        return pa.Table.from_batches(batches, schema_of(table, columns))


def _counted(row: Row, as_of: AsOf) -> bool:
    """Tell whether a row counts, which begins with `_COUNTED` and `_HISTORY_ORDER`, if it was processed in time."""
    _, withdrawn, _, midpoint = row[:4]
    return bool((withdrawn is None or withdrawn > as_of.time) and midpoint >= as_of.observed_since)


def _may_be_stored(batch: BatchId) -> bool:
    return abs(batch.detector) <= _GREATEST_DETECTOR


def _first(rows: Iterable[Row], limit: int, n_keys: int) -> list[Row]:
    """Return the first rows in the order of their first columns."""
    return sorted(rows, key=lambda row: row[:n_keys])[:limit]


def _table(table: str, columns: Sequence[str], rows: Sequence[Row], begin: int = 0) -> pa.Table:
    """Return rows, from one column on, as a table."""
    return table_of(schema_of(table, columns), [[row[begin:] for row in rows]] if rows else [])
