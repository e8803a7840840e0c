"""What the pipeline asks of an APDB, and what it may rely on.

Two promises carry the whole system:

* **Exclusion.** Between entering and leaving `Apdb.exclusive`, no other session
  on the same database is inside for any of the same cells. A session whose
  process dies loses its cells at once.
* **Atomicity.** `ApdbSession.store` writes everything of its batches, ledger
  rows, tile versions and outbox included, or nothing.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import BatchChanges, LedgerEntry
from stream_assoc.core.model.forced import ForcedPoints, GoodSources
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import ObjectHistories
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """What a session knows of the database when it begins, read in one round trip.

    Attributes
    ----------
    entries : `dict` [`BatchId`, `tuple` [`LedgerEntry`, ...]]
        Those of the asked batches that have been processed before, by
        ascending revision.
    tile_versions : `numpy.ndarray` [int64], shape (n_tiles,)
        Version of each asked tile; 0 for a tile that no batch has changed yet.
    n_single_source : `int`
        DIAObjects in the whole APDB that have exactly one source.
    unpublished : `tuple` [`BatchRevision`, ...]
        Batches that changed one of the asked tiles last and whose outputs are
        still in the outbox: subscribers must have them first.
    """

    entries: dict[BatchId, tuple[LedgerEntry, ...]]
    tile_versions: IntArray
    n_single_source: int
    unpublished: tuple[BatchRevision, ...] = ()


@dataclass(frozen=True, slots=True)
class CountedSources:
    """The sources of a batch that count: stored, and not withdrawn.

    Attributes
    ----------
    diaSourceId : `numpy.ndarray` [int64], shape (n,)
        Ascending.
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
        The object each belongs to, 0 for none.
    """

    diaSourceId: IntArray
    diaObjectId: IntArray

    def __len__(self) -> int:
        return len(self.diaSourceId)


@dataclass(frozen=True, slots=True)
class ObjectVersions:
    """The latest versions of some objects.

    Attributes
    ----------
    positions : `ObjectPositions`
        Ascending by diaObjectId.
    is_open : `numpy.ndarray` [bool], shape (n,)
        Whether the version is the current one; an object without such has ended.
    """

    positions: ObjectPositions
    is_open: BoolArray


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


@dataclass(frozen=True, slots=True)
class InHand:
    """Messages of one partition that a daemon has taken up.

    They are done once the group's committed offset is beyond them: nobody takes the note away.

    Attributes
    ----------
    topic : `str`
    partition : `int`
    first_offset, last_offset : `int`
        Of the messages.
    is_suspect : `bool`
        Whether it is one message, taken alone because it had been in hand when a daemon died.
    """

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    is_suspect: bool = False


class ApdbReader(Protocol):
    """What can be read with exclusive access to some cells of the APDB; nothing here changes it."""

    def read_snapshot(self, batches: Sequence[BatchId], tiles: IntArray) -> SessionSnapshot:
        """Return what is known of these batches and tiles."""

    def load_tiles(self, tiles: IntArray) -> TiledObjects:
        """Return the current objects of these tiles, also of those that hold nothing."""

    def load_histories(self, diaObjectId: IntArray, without: BatchId | None = None) -> ObjectHistories:
        """Return the stored sources of these objects, from which states are rebuilt.

        Withdrawn sources are left out, and those of the batch ``without``.
        """

    def load_forced_points(
        self, diaObjectId: IntArray, after: FloatArray, until: FloatArray, without: BatchId | None = None
    ) -> ForcedPoints:
        """Return the stored forced sources of these objects that were measured within a span of time.

        Withdrawn ones are left out, and those of the batch ``without``.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
            Each once.
        after, until : `numpy.ndarray` [float64], shape (n,)
            Of each object's, those whose timeProcessedMjdTai is above the one
            and not above the other, MJD TAI.
        without : `BatchId`, optional

        Returns
        -------
        points : `ForcedPoints`
            Ordered by (diaObjectId, timeProcessedMjdTai, visit, detector).
        """

    def counted_forced_sources(self, batch: BatchId) -> ForcedPoints:
        """Return the forced sources of a batch that count so far, ascending by diaObjectId."""

    def forced_source_rows(self, batch: BatchId) -> pa.Table:
        """Return the DiaForcedSource rows of a batch that count so far, every column, ascending by diaObjectId."""

    def has_good_source(
        self, diaObjectId: IntArray, criteria: GoodSources, without: BatchId | None = None
    ) -> IntArray:
        """Return those of these objects that have a good source, ascending.

        Withdrawn sources vouch for nothing, nor do those of the batch ``without``.
        """

    def counted_sources(self, batch: BatchId) -> CountedSources:
        """Return the sources of a batch that count so far."""

    def latest_versions(self, diaObjectId: IntArray) -> ObjectVersions:
        """Return the latest version of each of these objects that ever was, wherever on the sky.

        Only what lies in the session's own cells cannot change meanwhile.
        """


class ApdbSession(ApdbReader, Protocol):
    """Exclusive access to some cells of the APDB."""

    def end_versions(self, diaObjectId: IntArray, validityEndMjdTai: float) -> None:
        """Tell beforehand that `store` will supersede the current versions of these objects.

        Nothing of them may be read from here on, and nothing counts until
        `store` returns. A database that can begins with the work and lets the
        caller go on meanwhile; to do nothing is right as well, for `store`
        ends what has not been ended.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64]
            Objects of this session's cells.
        validityEndMjdTai : `float`
            When their next versions begin, MJD TAI.
        """

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

    def outbox_entry(self, key: BatchRevision) -> OutboxEntry | None:
        """Return the unpublished outputs of one processing of a batch, if any are left."""

    def unpublished(self) -> list[OutboxEntry]:
        """Return all outputs not known to be published, oldest first."""

    def waiting(self) -> list[WaitingEntry]:
        """Return what `unpublished` returns without the outputs themselves, as of one instant."""

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        """Return those of these batches whose outputs are still in the outbox."""

    def sole_adopter(self) -> AbstractContextManager[bool]:
        """Try to become the only one that publishes entries nobody else would; give whether that is so.

        Whoever dies within the block, or loses the database, is it no longer.
        """

    def mark_published(self, keys: Sequence[BatchRevision]) -> None:
        """Forget the outputs of these: subscribers have them."""

    def contains(self, batch: BatchId) -> bool:
        """Tell whether the ledger holds this batch."""

    def known_tiles(self) -> IntArray:
        """Return every tile that any batch has changed, sorted."""

    def count_rows(self) -> dict[str, int]:
        """Return the number of rows of each APDB table, for reports and checks."""

    def ping(self) -> None:
        """Return if the database answers; may be called from any thread.

        Raises
        ------
        ApdbError
            If it does not, or refuses this client.
        """

    def close(self) -> None:
        """Release every connection."""


class DaemonApdb(Apdb, Protocol):
    """An APDB that also keeps notes of what daemons have in hand."""

    def in_hand(self, partitions: Collection[tuple[str, int]]) -> list[InHand]:
        """Return what was last noted of these partitions (topic, number), by whatever daemon."""

    def note_in_hand(self, notes: Sequence[InHand]) -> None:
        """Note what is taken up now, one note a partition, in place of what was noted of it before.

        It outlives this process. It need not outlive a crash of the database's machine, so nobody waits for a disk.
        """
