"""Faults of rows that belong to objects or batches: sources, statistics, the ledger, the outbox, leases."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.types import BANDS
from stream_assoc.stores.apdb.cassandra.batch_rows import read_row_keys
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import State
from stream_assoc.stores.apdb.cassandra.keyed_rows import KeyedRows
from stream_assoc.stores.apdb.cassandra.stored_objects import StoredObjects
from stream_assoc.stores.apdb.cassandra.tables import GROUP, LEDGER
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.reading.inspection import Fault, Find

SOURCE_COLUMNS: Final = (
    "diaSourceId",
    "diaObjectId",
    "visit",
    "detector",
    "band",
    "timeProcessedMjdTai",
    "timeWithdrawnMjdTai",
)
FORCED_COLUMNS: Final = ("diaObjectId", "visit", "detector", "timeWithdrawnMjdTai")
FURTHER_COLUMNS: Final = ("diaObjectId", "validityStartMjdTai")

_LEDGER: Final = (
    'SELECT visit, detector, revision, n_stored, "timeProcessedMjdTai", group_id '
    f'FROM "{LEDGER}" WHERE visit = ? AND detector = ?'
)
_STATES: Final = f'SELECT group_id, state FROM "{GROUP}" WHERE group_id IN ?'


class BatchFaults:
    """Compares the ledger with what is stored of batches.

    Parameters
    ----------
    connection : `Connection`
    rows : `KeyedRows`
    """

    def __init__(self, connection: Connection, rows: KeyedRows) -> None:
        self._connection = connection
        self._rows = rows

    def entries(self, batches: Iterable[BatchId]) -> dict[BatchId, list[Row]]:
        """Return revision, number of stored sources and time of the ledger's entries that count, by batch."""
        asked = sorted(set(batches))
        found = [row for rows in self._connection.read_each(_LEDGER, asked) for row in rows]
        states = dict(self._connection.read_in(_STATES, list({row[-1] for row in found})))
        entries: dict[BatchId, list[Row]] = {}
        for visit, detector, *entry, group_id in found:
            if group_id in states and State(states[group_id]).counts:
                entries.setdefault(BatchId(visit, detector), []).append(tuple(entry))
        return entries

    def of_ledger(self, batches: Sequence[BatchId]) -> Iterator[Find]:
        """Yield what is wrong with the entries of some batches."""
        for batch, entries in sorted(self.entries(batches).items()):
            revision, n_stored, time = max(entries)
            key = {"visit": batch.visit, "detector": batch.detector}
            if revision + 1 != len(entries):
                values = {"latest revision": revision, "revisions": len(entries)}
                yield Find(Fault.MISSING_REVISION, key, values)
            if n_stored != (n_rows := self._n_sources(batch, time)):
                values = {"n_stored": n_stored, "stored sources": n_rows}
                yield Find(Fault.WRONG_N_STORED, key | {"revision": revision}, values)

    def of_outbox(self, keys: Sequence[BatchRevision]) -> Iterator[Find]:
        """Yield the entries of the outbox that the ledger lacks."""
        for key in sorted(self._unknown(keys)):
            yield Find(Fault.OUTBOX_ENTRY_NOT_IN_LEDGER, key._asdict())

    def of_tiles(self, tiles: Sequence[tuple[int, BatchRevision]]) -> Iterator[Find]:
        """Yield the tiles whose last batch the ledger lacks."""
        unknown = self._unknown([batch for _, batch in tiles])
        for tile, batch in sorted(one for one in tiles if one[1] in unknown):
            yield Find(Fault.TILE_OF_UNKNOWN_BATCH, {"tile": tile}, batch._asdict())

    def _unknown(self, keys: Sequence[BatchRevision]) -> set[BatchRevision]:
        entries = self.entries(BatchId(*key[:2]) for key in keys)
        known = {BatchRevision(*batch, entry[0]) for batch, some in entries.items() for entry in some}
        return set(keys) - known

    def _n_sources(self, batch: BatchId, time: float) -> int:
        stored = read_row_keys(self._connection, batch, "DiaSource")
        places = zip(stored.parts.tolist(), stored.time_parts.tolist(), strict=True)
        keys = zip(places, stored.identifiers.tolist(), strict=True)
        return sum(processed == time for (processed,) in self._rows.read("DiaSource", keys, ("timeProcessedMjdTai",)))


class SourceFaults:
    """Compares rows of sources, and of statistics, with objects.

    Parameters
    ----------
    stored : `StoredObjects`
    """

    def __init__(self, stored: StoredObjects) -> None:
        self._stored = stored

    def of_sources(self, rows: Sequence[Row]) -> Iterator[Find]:
        """Yield what is wrong with some rows of DiaSource, which are in the order of `SOURCE_COLUMNS`."""
        live = [row for row in rows if row[1] and row[-1] is None]
        latest = self._stored.latest(row[1] for row in live)
        for identifier, diaObjectId, _, _, band, *_ in live:
            key = {"diaSourceId": identifier}
            if diaObjectId not in latest:
                yield Find(Fault.SOURCE_WITHOUT_OBJECT, key, {"diaObjectId": diaObjectId})
            elif latest[diaObjectId].end is not None:
                yield Find(Fault.SOURCE_OF_CLOSED_OBJECT, key, {"diaObjectId": diaObjectId})
            if band not in BANDS:
                yield Find(Fault.UNKNOWN_BAND, key, {"diaObjectId": diaObjectId, "band": band})

    def of_forced_sources(self, rows: Sequence[Row]) -> Iterator[Find]:
        """Yield the rows of DiaForcedSource that belong to nobody; they are in the order of `FORCED_COLUMNS`."""
        live = [row for row in rows if row[-1] is None]
        latest = self._stored.latest(row[0] for row in live)
        for identifier, visit, detector, _ in live:
            if identifier not in latest:
                key = {"diaObjectId": identifier, "visit": visit, "detector": detector}
                yield Find(Fault.FORCED_SOURCE_WITHOUT_OBJECT, key)

    def of_statistics(self, rows: Sequence[Row]) -> Iterator[Find]:
        """Yield rows of further statistics that belong to no version; they are in the order of `FURTHER_COLUMNS`."""
        versions = self._stored.versions(row[0] for row in rows)
        for identifier, begin in rows:
            if all(version.begin != begin for version in versions.get(identifier, ())):
                values = {"validityStartMjdTai": begin}
                yield Find(Fault.STATISTICS_WITHOUT_VERSION, {"diaObjectId": identifier}, values)
