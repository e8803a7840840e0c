"""What one batch changes, as one indivisible value."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId, BatchRevision, ImageUris, Observation
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.core.model.types import IntArray


@dataclass(frozen=True, slots=True)
class InputPosition:
    """Where a message was read from: Kafka topic, partition and offset."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The row that makes a batch count once.

    Attributes
    ----------
    id : `BatchId`
        Visit and detector; with ``revision`` the primary key.
    digest : `bytes`
        SHA-256 of the payload that was processed.
    timeProcessedMjdTai : `float`
        Processing time given to the batch's sources and object versions.
    n_sources, n_stored : `int`
        Sources in the message, and those that became DiaSource rows.
    position : `InputPosition` or `None`
        Where the message came from; `None` when it did not come from Kafka.
    revision : `int`
        How many times the batch had been processed before. The sources of the
        highest revision count, those of all others are withdrawn.
    images : `ImageUris`
        Where the batch's images are; they may be gone by now.
    observation : `Observation`
        What the batch's message said of it.
    """

    id: BatchId
    digest: bytes
    timeProcessedMjdTai: float
    n_sources: int
    n_stored: int
    position: InputPosition | None = None
    revision: int = 0
    images: ImageUris = field(default_factory=ImageUris)
    observation: Observation = field(default_factory=Observation)

    @property
    def key(self) -> BatchRevision:
        """The primary key."""
        return BatchRevision(*self.id, self.revision)


@dataclass(frozen=True, slots=True)
class BatchChanges:
    """Everything one batch writes to the APDB, in one transaction.

    Attributes
    ----------
    entry : `LedgerEntry`
        The ledger row. With a revision above 0, every source and forced source
        of its visit and detector that counts so far is replaced, where its key
        comes again, or else withdrawn at ``timeProcessedMjdTai``.
    dia_sources : `pyarrow.Table`
        New DiaSource rows, every column of the APDB table including ``pixelId``.
    dia_objects : `pyarrow.Table`
        New DiaObject versions, every column including ``pixelId``; at most one
        row an object, ``validityEndMjdTai`` null.
    predecessors : `tuple` [`BatchRevision`, ...]
        Batches whose outputs subscribers must have before those of this one.
    consumer_group : `str` or `None`
        The Kafka group that reads the batch's topic and is to publish the
        outputs; `None` when the batch did not come from Kafka.
    further_statistics : `pyarrow.Table` or `None`
        For each row of ``dia_objects``, in order, what the plugins compute
        that DiaObject has no column for
        (`~stream_assoc.core.model.further_statistics`); `None` if nothing.
    forced_sources : `pyarrow.Table`
        New DiaForcedSource rows; may be empty.
    tiles : `numpy.ndarray` [int64]
        Sorted HTM indices of the tiles whose cached content this batch changes.
    single_source_delta : `int`
        Change of the number of objects that have exactly one source.
    outputs : `bytes`
        The encoded output messages, kept in the outbox until they are published.
    checkpoints : `Checkpoints`
        States that take the place of the objects' earlier checkpoints.
    voided : `numpy.ndarray` [int64]
        Objects whose earlier checkpoints no longer are a prefix of their fold,
        because they have lost a source.
    closed : `ObjectPositions`
        Objects that end at ``timeProcessedMjdTai`` without a successor, where
        they were; none of them has a row in ``dia_objects``.
    """

    entry: LedgerEntry
    dia_sources: pa.Table
    dia_objects: pa.Table
    forced_sources: pa.Table
    tiles: IntArray
    single_source_delta: int
    outputs: bytes
    closed: ObjectPositions = field(default_factory=ObjectPositions.empty)
    further_statistics: pa.Table | None = None
    predecessors: tuple[BatchRevision, ...] = ()
    consumer_group: str | None = None
    checkpoints: Checkpoints = field(default_factory=Checkpoints.none)
    voided: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
