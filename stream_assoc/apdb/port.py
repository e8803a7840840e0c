"""What the pipeline asks of an APDB, and what it may rely on.

Two promises carry the whole system:

* **Exclusion.** Between entering and leaving `Apdb.exclusive`, no other session
  on the same database is inside for any of the same cells. A session whose
  process dies loses its cells at once.
* **Atomicity.** `ApdbSession.store` writes everything of its batches, ledger
  rows, tile versions and outbox included, or nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from stream_assoc.model.batch import BatchId
from stream_assoc.model.changes import BatchChanges, LedgerEntry
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.states import ObjectHistories
from stream_assoc.model.types import IntArray


@dataclass(frozen=True, slots=True)
class Opening:
    """What a session knows of the database when it begins, read in one round trip.

    Attributes
    ----------
    entries : `dict` [`BatchId`, `LedgerEntry`]
        Those of the asked batches that have been processed before.
    tile_versions : `numpy.ndarray` [int64], shape (n_tiles,)
        Version of each asked tile; 0 for a tile that no batch has changed yet.
    n_single_source : `int`
        DIAObjects in the whole APDB that have exactly one source.
    """

    entries: dict[BatchId, LedgerEntry]
    tile_versions: IntArray
    n_single_source: int


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """Outputs of a committed batch that are not yet known to be published."""

    entry: LedgerEntry
    outputs: bytes


class ApdbSession(Protocol):
    """Exclusive access to some cells of the APDB."""

    def open_batches(self, batches: Sequence[BatchId], tiles: IntArray) -> Opening:
        """Return what is known of these batches and tiles."""

    def load_tiles(self, tiles: IntArray) -> dict[int, ObjectPositions]:
        """Return the current objects of each tile, ascending by diaObjectId.

        Every asked tile is a key, also those that hold nothing.
        """

    def load_histories(self, diaObjectId: IntArray) -> ObjectHistories:
        """Return the stored sources of these objects, from which states are rebuilt."""

    def store(self, changes: Sequence[BatchChanges]) -> IntArray:
        """Write the batches in one transaction.

        Several batches may touch one object: each of its versions becomes a
        row, the earlier ones closed by the later, DiaObjectLast holds the last.

        Returns
        -------
        tile_versions : `numpy.ndarray` [int64]
            The new version of each tile in the sorted union of the batches' tiles.

        Raises
        ------
        DuplicateSourceError
            If a diaSourceId is already stored. Nothing is written.
        ApdbUnavailableError
            If the database went away. Nothing is written, or everything is and
            the ledger will tell.
        """


class Apdb(Protocol):
    """An Alert Production Database in the schema that ``lsst.dax.apdb`` creates."""

    def exclusive(self, cells: IntArray) -> AbstractContextManager[ApdbSession]:
        """Wait for, then hold, exclusive access to ``cells`` (sorted HTM indices)."""

    def outbox_entry(self, batch: BatchId) -> OutboxEntry | None:
        """Return the unpublished outputs of a processed batch, if any are left."""

    def unpublished(self) -> list[OutboxEntry]:
        """Return all outputs not known to be published, oldest first."""

    def mark_published(self, batches: Sequence[BatchId]) -> None:
        """Forget the outputs of these batches: subscribers have them."""

    def contains(self, batch: BatchId) -> bool:
        """Tell whether the ledger holds this batch."""

    def known_tiles(self) -> IntArray:
        """Return every tile that any batch has changed, sorted."""

    def count_rows(self) -> dict[str, int]:
        """Return the number of rows of each APDB table, for reports and checks."""

    def close(self) -> None:
        """Release every connection."""
