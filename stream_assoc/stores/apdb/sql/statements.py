"""Names and expressions that both SQL adapters use.

Our tables live beside those of ``lsst.dax.apdb``, in the same namespace.
Words of the form ``{name}`` stand for an identifier that the adapter quotes.
"""

from collections.abc import Sequence
from typing import Any, Final

from stream_assoc.core.model import further_statistics
from stream_assoc.core.model.batch import BatchId, pack_revisions, unpack_revisions
from stream_assoc.core.model.changes import BatchChanges, InputPosition, LedgerEntry
from stream_assoc.core.model.forced import GoodSources
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BANDS
from stream_assoc.pipeline.ports.outbox import OutboxEntry, WaitingEntry

LEDGER: Final = "StreamAssocLedger"
OUTBOX: Final = "StreamAssocOutbox"
TILE: Final = "StreamAssocTile"
COUNTER: Final = "StreamAssocCounter"
FURTHER: Final = further_statistics.TABLE
IN_HAND: Final = "StreamAssocInHand"
CHANGED: Final = "StreamAssocChanged"
REPLICATION: Final = "StreamAssocReplication"
CHECKPOINT: Final = "StreamAssocCheckpoint"
OUR_TABLES: Final = (LEDGER, OUTBOX, TILE, COUNTER, FURTHER, IN_HAND, CHANGED, REPLICATION, CHECKPOINT)

UPDATES: Final = "ApdbUpdateRecordChunks"
"""Where dax_apdb notes changes of rows that may have been replicated already."""
UPDATE_KEY: Final = ("apdb_replica_chunk", "update_time_ns", "update_order", "update_unique_id")
"""What its rows are told apart by."""

DAX_TABLES: Final = (
    "DiaObject",
    "DiaObjectLast",
    "DiaSource",
    "DiaForcedSource",
    "ApdbReplicaChunks",
    "DiaObjectChunks",
    "DiaSourceChunks",
    "DiaForcedSourceChunks",
    UPDATES,
)
"""Tables of dax_apdb that we write; the last five exist when replication is on."""

COUNTED_TABLES: Final = ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource", LEDGER, OUTBOX)
"""What `Apdb.count_rows` reports on."""

N_COUNTER_SHARDS: Final = 64
"""Rows of the single-source counter: daemons that work on different skies rarely update the same one."""
OTHERS_SHARD: Final = -1
"""The row that triggers count in. No batch does, so none waits for the end of another program's transaction there."""

DATABASE_CELL: Final = -1
"""Beside the cells, whose HTM indices are positive, the lock that sessions share and a change of tables takes."""

IN_HAND_COLUMNS: Final = ("topic", "partition", "first_offset", "last_offset", "is_suspect")
NOTE_IN_HAND: Final = (
    "ON CONFLICT (topic, partition) DO UPDATE SET first_offset = excluded.first_offset, "
    "last_offset = excluded.last_offset, is_suspect = excluded.is_suspect"
)

LEDGER_COLUMNS: Final = (
    "visit",
    "detector",
    "revision",
    "digest",
    "timeProcessedMjdTai",
    "n_sources",
    "n_stored",
    "input_topic",
    "input_partition",
    "input_offset",
)

POSITION_COLUMNS: Final = (
    "pixelId",
    "diaObjectId",
    "ra",
    "dec",
    "raErr",
    "decErr",
    "validityStartMjdTai",
    "nDiaSources",
)
"""Columns of DiaObjectLast that `load_tiles` reads, in this order."""

VERSION_COLUMNS: Final = ("diaObjectId", "validityStartMjdTai", "raErr", "decErr", "ra_dec_Cov")
"""Columns of DiaObject that `load_histories` reads, in this order."""

POINT_COLUMNS: Final = (
    "diaObjectId",
    "ra",
    "dec",
    "midpointMjdTai",
    "psfFlux",
    "psfFluxErr",
    "scienceFlux",
    "scienceFluxErr",
)
"""Columns of DiaSource that `load_histories` reads, in this order, before band index and flag."""
GATHERED_COLUMNS: Final = (*POINT_COLUMNS[1:], "band", "visit", "detector", "timeWithdrawnMjdTai")
"""Columns of DiaSource that `load_histories` asks for without flags, besides those that it orders by."""


FORCED_COLUMNS: Final = ("diaObjectId", "timeProcessedMjdTai", "psfFlux", "psfFluxErr")
"""Columns of DiaForcedSource that statistics are made of, in this order, before the band index."""


def quoted(names: Sequence[str], qualifier: str = "") -> str:
    """Return the column names as a list of quoted identifiers."""
    return ", ".join(f'{qualifier}"{name}"' for name in names)


def point_expressions(flag_columns: Sequence[str], position_function: str) -> str:
    """Return the select list of a source's points: columns, band index, flag.

    The index is -1 for a source whose band is NULL or not in `BANDS`.

    Parameters
    ----------
    flag_columns : sequence of `str`
        DiaSource flags; a NULL flag counts as not set.
    position_function : `str`
        The dialect's name for the 1-based position of a substring.
    """
    band = band_expression(position_function)
    flags = " OR ".join(f'COALESCE("{name}", FALSE)' for name in flag_columns) or "FALSE"
    return f"{quoted(POINT_COLUMNS)}, {band}, ({flags})"


def band_expression(position_function: str) -> str:
    """Return the index of the column ``band`` among `BANDS`, -1 where it is none of them; see `point_expressions`."""
    return f"COALESCE({position_function}('{''.join(BANDS)}', band), 0) - 1"


def forced_source_rows(mark: str) -> str:
    """Return the query of a batch's DiaForcedSource rows that count; parameters: visit, detector.

    Parameters
    ----------
    mark : `str`
        The dialect's parameter.
    """
    return (
        f"SELECT {quoted(apdb_table('DiaForcedSource').names)} FROM {{DiaForcedSource}} WHERE visit = {mark} "
        f'AND detector = {mark} AND "timeWithdrawnMjdTai" IS NULL ORDER BY "diaObjectId"'
    )


def forced_expressions(position_function: str) -> str:
    """Return the select list of a forced source's points; see `point_expressions`."""
    return f"{quoted(FORCED_COLUMNS)}, {band_expression(position_function)}"


LIVE: Final = '"timeWithdrawnMjdTai" IS NULL'
"""The condition that a row of DiaSource counts."""


def source_condition(mark: str, criteria: GoodSources | None) -> tuple[str, tuple[float, ...]]:
    """Return the condition that a row of DiaSource is good, without criteria that it counts, and its parameters."""
    if criteria is None:
        return LIVE, ()
    return good_source_condition(mark), (criteria.min_reliability, criteria.max_trail_length)


def good_source_condition(mark: str) -> str:
    """Return the condition that a row of DiaSource is a good one; parameters: reliability, trail.

    NaN, which PostgreSQL takes to be above all numbers, is not good.

    Parameters
    ----------
    mark : `str`
        The dialect's parameter.
    """
    return (
        f"{LIVE} AND reliability >= {mark} AND reliability <= 1e30 "
        f'AND "trailLength" <= {mark} AND NOT glint_trail AND NOT "isDipole"'
    )


def ledger_values(entry: LedgerEntry) -> tuple[object, ...]:
    """Return the row of a ledger entry, in the order of `LEDGER_COLUMNS`."""
    position = entry.position
    place = (None, None, None) if position is None else (position.topic, position.partition, position.offset)
    return (
        entry.id.visit,
        entry.id.detector,
        entry.revision,
        entry.digest,
        entry.timeProcessedMjdTai,
        entry.n_sources,
        entry.n_stored,
        *place,
    )


WAITING_COLUMNS: Final = f"{quoted(LEDGER_COLUMNS, 'l.')}, o.predecessors, o.consumer_group"
"""What an entry of the outbox (``o``) is without its outputs, beside its row of the ledger (``l``)."""

OUTBOX_COLUMNS: Final = ("visit", "detector", "revision", "outputs", "predecessors", "consumer_group")


def outbox_values(change: BatchChanges) -> tuple[object, ...]:
    """Return the row of a batch's outputs, in the order of `OUTBOX_COLUMNS`."""
    return (*change.entry.key, change.outputs, pack_revisions(change.predecessors) or None, change.consumer_group)


def ledger_entry(row: Sequence[Any]) -> LedgerEntry:
    """Return the ledger entry of a row in the order of `LEDGER_COLUMNS`."""
    visit, detector, revision, digest, time, n_sources, n_stored, topic, partition, offset = row
    position = None if topic is None else InputPosition(topic, partition, offset)
    return LedgerEntry(BatchId(visit, detector), bytes(digest), time, n_sources, n_stored, position, revision)


def entries_by_batch(rows: Sequence[Sequence[Any]]) -> dict[BatchId, tuple[LedgerEntry, ...]]:
    """Return the ledger entries of rows in any order, by batch and ascending revision."""
    entries: dict[BatchId, tuple[LedgerEntry, ...]] = {}
    for entry in sorted(map(ledger_entry, rows), key=lambda one: one.key):
        entries[entry.id] = (*entries.get(entry.id, ()), entry)
    return entries


def waiting_entry(row: Sequence[Any]) -> WaitingEntry:
    """Return an entry of a row in the order of `WAITING_COLUMNS`."""
    *ledger, predecessors, consumer_group = row
    return WaitingEntry(ledger_entry(ledger), unpack_revisions(bytes(predecessors or b"")), consumer_group)


def outbox_entry(row: Sequence[Any]) -> OutboxEntry:
    """Return an entry of a row in the order of `WAITING_COLUMNS`, and then its outputs."""
    *waiting, outputs = row
    kept = waiting_entry(waiting)
    return OutboxEntry(kept.entry, outputs, kept.predecessors)


def duplicate_message(ids: Sequence[int], shown: int = 5) -> str:
    """Return the message about diaSourceIds that are stored already or come twice."""
    unique = sorted(set(ids))
    names = ", ".join(str(identifier) for identifier in unique[:shown])
    return f"diaSourceId {names}{', ...' if len(unique) > shown else ''} is stored already or comes twice"
