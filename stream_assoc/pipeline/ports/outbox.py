"""The outbox: outputs that an APDB commit has made durable, until subscribers have them."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import LedgerEntry


@dataclass(frozen=True, slots=True)
class WaitingEntry:
    """An entry of the outbox, without its outputs.

    Attributes
    ----------
    entry : `LedgerEntry`
        The batch.
    predecessors : `tuple` [`BatchRevision`, ...]
        Batches whose outputs subscribers must have first.
    consumer_group : `str` or `None`
        The Kafka group that is to publish the outputs; `None` if that is not known.
    """

    entry: LedgerEntry
    predecessors: tuple[BatchRevision, ...] = ()
    consumer_group: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """Outputs of a committed batch that are not yet known to be published."""

    entry: LedgerEntry
    outputs: bytes
    predecessors: tuple[BatchRevision, ...] = ()


class ApdbOutbox(Protocol):
    """The outbox of an APDB. `ApdbSession.commit` adds entries; everything else about them is here."""

    def outbox_entry(self, key: BatchRevision) -> OutboxEntry | None:
        """Return the unpublished outputs of one processing of a batch, if any are left."""

    def unpublished(self) -> list[OutboxEntry]:
        """Return all outputs not known to be published, oldest first."""

    def waiting(self) -> list[WaitingEntry]:
        """Return what `unpublished` returns without the outputs themselves, as of one instant."""

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these batches whose outputs are still in the outbox."""

    def mark_published(self, keys: Sequence[BatchRevision]) -> None:
        """Delete the entries of these batches: subscribers have their outputs. Doing so again changes nothing."""

    def sole_adopter(self) -> AbstractContextManager[bool]:
        """Try to become the one process that publishes entries without an owner; yield whether it is.

        A process that dies within the block, or loses the database, is the adopter no longer.
        """
