"""Entries of the ledger and of the outbox, from rows and to rows."""

from collections.abc import Sequence
from typing import Any

from stream_assoc.core.model.batch import BatchId, ImageUris, Observation, pack_revisions, unpack_revisions
from stream_assoc.core.model.changes import BatchChanges, InputPosition, LedgerEntry
from stream_assoc.pipeline.ports.outbox import OutboxEntry, WaitingEntry


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
        entry.images.difference,
        entry.images.science,
        entry.images.template,
        entry.observation.reason,
        entry.observation.target,
    )


def outbox_values(change: BatchChanges) -> tuple[object, ...]:
    """Return the row of a batch's outputs, in the order of `OUTBOX_COLUMNS`."""
    return (*change.entry.key, change.outputs, pack_revisions(change.predecessors) or None, change.consumer_group)


def ledger_entry(row: Sequence[Any]) -> LedgerEntry:
    """Return the ledger entry of a row in the order of `LEDGER_COLUMNS`."""
    visit, detector, revision, digest, time, n_sources, n_stored, topic, partition, offset, *told = row
    return LedgerEntry(
        BatchId(visit, detector),
        bytes(digest),
        time,
        n_sources,
        n_stored,
        None if topic is None else InputPosition(topic, partition, offset),
        revision,
        ImageUris(*told[:3]),
        Observation(*told[3:]),
    )


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
