"""`ApdbInspection` on Cassandra."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

import numpy as np

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.types import BANDS, FloatArray, IntArray
from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.stores.apdb.arrays import arrays_of
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import Layout, read_columns, read_layout, read_report
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.keyed_rows import KeyedRows
from stream_assoc.stores.apdb.cassandra.leases import count_single_source_objects
from stream_assoc.stores.apdb.cassandra.object_faults import ObjectFaults
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.reading import CassandraReader
from stream_assoc.stores.apdb.cassandra.row_faults import (
    FORCED_COLUMNS,
    FURTHER_COLUMNS,
    SOURCE_COLUMNS,
    BatchFaults,
    SourceFaults,
)
from stream_assoc.stores.apdb.cassandra.stored_objects import StoredObjects
from stream_assoc.stores.apdb.cassandra.tables import LEASE, LEDGER, OBJECT, WAITING
from stream_assoc.stores.apdb.cassandra.tallies import FirstBatch, MissingBatches, UnversionedTiles
from stream_assoc.stores.apdb.cassandra.whole_tables import WholeTables
from stream_assoc.stores.apdb.notes import tile_level_of
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.reading.inspection import (
    Fault,
    Find,
    Part,
    Placements,
    Stretch,
    pixels_of_positions,
)
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.stores.apdb.rows.tables import FURTHER

_ROWS_A_STRETCH: Final = 1_000
_OBJECT: Final = ("diaObjectId",)
_BATCH: Final = ("visit", "detector")
_LAST: Final = ("apdb_part", "diaObjectId", "ra", "dec", "validityStartMjdTai")

Look: TypeAlias = Callable[[Sequence[Row]], Iterable[Find]]


class Tally(Protocol):
    """Counts up what is wrong."""

    def add(self, rows: Sequence[Row]) -> None:
        """Look at some rows."""

    def finds(self) -> Iterator[Find]:
        """Yield what was wrong with all rows."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A table that is read from end to end, and what looks at its rows.

    Attributes
    ----------
    part : `Part`
        The table, and the first column of its partition key.
    columns : `tuple` [`str`, ...]
        What is read of each row.
    key : `tuple` [`str`, ...]
        Its partition key; empty for that of a table of dax_apdb.
    look : callable
        Returns what is wrong with some rows.
    tallies : `tuple` [`Tally`, ...]
        What counts up.
    """

    part: Part
    columns: tuple[str, ...]
    key: tuple[str, ...]
    look: Look
    tallies: tuple[Tally, ...]


class CassandraInspection:
    """`ApdbInspection` of a keyspace.

    Cassandra has no moment over several tables: run it while no daemon writes,
    and after all committed batches are applied. Whatever seems wrong is looked
    at once more before it is told, but for what is counted up over a whole
    table (batches that are not in the ledger, tiles without a version).

    Objects are found by our tables. What dax_apdb itself has stored is not in
    them, so that its sources are told as those of nobody.

    Parameters
    ----------
    connection : `Connection`
    layout : `Layout`
    tile_level : `int`
        HTM level of the tiles.
    session_reader : `SessionReader`
        Reads histories of objects.
    reader : `CassandraReader`
        Answers single questions.
    """

    answers = frozenset(Fault)

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        tile_level: int,
        session_reader: SessionReader,
        reader: CassandraReader,
    ) -> None:
        self.reader = session_reader
        self._connection = connection
        self._places = Places.of(layout)
        self._whole = WholeTables(connection, layout)
        self._rows = KeyedRows(connection, self._places)
        self._stored = StoredObjects(connection, self._rows)
        self._tables = read_columns(connection)
        self.statistics_columns = self._tables[self._whole.names("DiaObject")[-1]] | self._tables[FURTHER]
        self._first = FirstBatch(self._whole)
        self._walks = {walk.part.table: walk for walk in self._all_walks(reader, tile_level)}

    def parts(self) -> list[Part]:
        """See `ApdbInspection.parts`."""
        return [walk.part for walk in self._walks.values()]

    def stretches(self, part: Part) -> Iterator[Stretch]:
        """See `ApdbInspection.stretches`."""
        walk = self._walks[part.table]
        for page in self._whole.pages(part.table, walk.columns, walk.key, _ROWS_A_STRETCH):
            yield Stretch(len(page), _confirmed(walk.look, page))
            for tally in walk.tallies:
                tally.add(page)
        yield Stretch(0, [find for tally in walk.tallies for find in tally.finds()])

    def placements(self) -> Iterator[Placements]:
        """See `ApdbInspection.placements`."""
        for page in self._whole.pages("DiaObjectLast", _LAST, page_rows=_ROWS_A_STRETCH):
            latest = self._stored.latest(row[1] for row in page)
            rows = [
                (*row[:4], known.partition[0])
                for row in page
                if (known := latest.get(row[1])) is not None and known.end is None
            ]
            parts, ids, ra, dec, parts_of_versions = arrays_of(rows, "iiddi")
            expected = pixels_of_positions(ra, dec, self._places.pixels)
            yield Placements(ids, ra, dec, parts, parts_of_versions, expected)

    def single_source_objects(self) -> Iterator[int]:
        """See `ApdbInspection.single_source_objects`."""
        for page in self._whole.pages("DiaObjectLast", ("nDiaSources",)):
            yield sum(number == 1 for (number,) in page)

    def single_source_counter(self) -> int:
        """See `ApdbInspection.single_source_counter`."""
        return count_single_source_objects(self._connection)

    def n_awaiting(self) -> int:
        """See `ApdbInspection.n_awaiting`: on Cassandra nothing notes what other programs change."""
        return 0

    def comparable(self, diaObjectId: IntArray) -> IntArray:
        """See `ApdbInspection.comparable`."""
        latest = self._stored.latest(diaObjectId.tolist())
        current = {one for one, known in latest.items() if known.end is None and known.begin >= self._first.time}
        columns = ("diaObjectId", "band", "timeWithdrawnMjdTai")
        partitions = {one for places in self._rows.places("DiaSource", current).values() for one in places}
        for page in self._rows.pages("DiaSource", partitions, columns):
            current -= {one for one, band, withdrawn in page if withdrawn is None and band not in BANDS}
        return np.array(sorted(current), np.int64)

    def stored_statistics(self, diaObjectId: IntArray, columns: Sequence[str]) -> FloatArray:
        """See `ApdbInspection.stored_statistics`."""
        open_ones = {one: row for one, row in self._stored.latest(diaObjectId.tolist()).items() if row.end is None}
        beside = [name for name in columns if name in self._tables[FURTHER]]
        within = [name for name in columns if name not in beside]
        place = {name: number for number, name in enumerate(columns)}
        statistics = np.full((len(diaObjectId), len(columns)), np.nan)
        found = self._stored.rows_of_latest(open_ones, within)
        further = self._stored.further_of_latest(open_ones, beside) if beside else {}
        for names, rows in ((within, found), (beside, further)):
            chosen = [place[name] for name in names]
            for identifier, row in rows.items():
                statistics[np.searchsorted(diaObjectId, identifier), chosen] = np.array(row, np.float64)
        return statistics

    def _all_walks(self, reader: CassandraReader, tile_level: int) -> Iterator[Walk]:
        objects = ObjectFaults(self._stored, self._rows, partial(_made_again, reader))
        sources, batches = SourceFaults(self._stored), BatchFaults(self._connection, self._rows)
        unversioned = UnversionedTiles(self._whole, self._first, tile_level)
        missing = MissingBatches(batches, self._first)
        yield self._walk(OBJECT, _OBJECT, _OBJECT, lambda rows: objects.of_versions([row[0] for row in rows]))
        yield self._walk(
            "DiaObjectLast", _LAST, (), lambda rows: objects.of_last([row[:2] for row in rows]), unversioned
        )
        yield self._walk("DiaSource", SOURCE_COLUMNS, (), sources.of_sources, missing)
        yield self._walk("DiaForcedSource", FORCED_COLUMNS, (), sources.of_forced_sources)
        yield self._walk(FURTHER, FURTHER_COLUMNS, _OBJECT, sources.of_statistics)
        yield self._walk(LEDGER, _BATCH, _BATCH, lambda rows: batches.of_ledger([BatchId(*row) for row in rows]))
        yield self._walk(
            WAITING,
            (*_BATCH, "revision"),
            ("shard",),
            lambda rows: batches.of_outbox([BatchRevision(*row) for row in rows]),
        )
        yield self._walk(LEASE, ("last_batches",), ("region",), lambda rows: batches.of_tiles(_last_batches(rows)))

    def _walk(self, table: str, columns: tuple[str, ...], key: tuple[str, ...], look: Look, *tallies: Tally) -> Walk:
        # Of our own tables nothing is known without reading them.
        n_rows = None if key else self._whole.estimated_rows(table)
        part = Part(table, key[0] if key else "apdb_part", n_rows)
        return Walk(part, columns, key, look, tallies)


@contextmanager
def inspected(url: CassandraUrl, patience: Patience, flag_columns: Sequence[str]) -> Iterator[CassandraInspection]:
    """Open what an inspection reads; see `ApdbUrl.inspection`."""
    with ExitStack() as stack:
        connection = stack.enter_context(closing(url.connect(patience)))
        tile_level = tile_level_of(read_report(connection).partition)
        reader = stack.enter_context(closing(CassandraReader(url, patience, any_version=False)))
        apdb = url.open(
            tile_level=tile_level, flag_columns=flag_columns, patience=patience, replication=DEFAULT_REPLICATION
        )
        session_reader = stack.enter_context(stack.enter_context(closing(apdb)).reading())
        yield CassandraInspection(connection, read_layout(connection), tile_level, session_reader, reader)


def _confirmed(look: Look, rows: Sequence[Row]) -> list[Find]:
    """Return what is found twice."""
    finds = list(look(rows))
    if not finds:
        return finds
    again = list(look(rows))
    return [find for find in finds if find in again]


def _made_again(reader: CassandraReader, diaObjectId: int, time: float) -> bool:
    """Tell whether a re-processing at a time has made an object from the source after which it is named."""
    rows = reader.source(diaObjectId).select(["visit", "detector"]).to_pylist()
    entries = [entry for row in rows for entry in reader.processings(BatchId(row["visit"], row["detector"]))]
    return any(entry.revision > 0 and entry.timeProcessedMjdTai == time for entry in entries)


def _last_batches(rows: Sequence[Row]) -> list[tuple[int, BatchRevision]]:
    return [(tile, BatchRevision(*batch)) for (batches,) in rows for tile, batch in dict(batches or {}).items()]
