"""What one batch changes, as one indivisible value."""

from dataclasses import dataclass

import pyarrow as pa

from stream_assoc.model.batch import BatchId
from stream_assoc.model.types import IntArray


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
        Visit and detector, the primary key.
    digest : `bytes`
        SHA-256 of the payload that was processed.
    timeProcessedMjdTai : `float`
        Processing time given to the batch's sources and object versions.
    n_sources, n_stored : `int`
        Sources in the message, and those that became DiaSource rows.
    position : `InputPosition` or `None`
        Where the message came from; `None` when it did not come from Kafka.
    """

    id: BatchId
    digest: bytes
    timeProcessedMjdTai: float
    n_sources: int
    n_stored: int
    position: InputPosition | None = None


@dataclass(frozen=True, slots=True)
class BatchChanges:
    """Everything one batch writes to the APDB, in one transaction.

    Attributes
    ----------
    entry : `LedgerEntry`
        The ledger row.
    dia_sources : `pyarrow.Table`
        New DiaSource rows, every column of the APDB table including ``pixelId``.
    dia_objects : `pyarrow.Table`
        New DiaObject versions, every column including ``pixelId``; at most one
        row an object, ``validityEndMjdTai`` null.
    forced_sources : `pyarrow.Table`
        New DiaForcedSource rows; may be empty.
    tiles : `numpy.ndarray` [int64]
        Sorted HTM indices of the tiles whose cached content this batch changes.
    single_source_delta : `int`
        Change of the number of objects that have exactly one source.
    outputs : `bytes`
        The encoded output messages, kept in the outbox until they are published.
    """

    entry: LedgerEntry
    dia_sources: pa.Table
    dia_objects: pa.Table
    forced_sources: pa.Table
    tiles: IntArray
    single_source_delta: int
    outputs: bytes
