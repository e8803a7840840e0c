"""A batch before it is processed, and what may come of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream_assoc.core.model.batch import Batch, BatchId, BatchRevision
from stream_assoc.core.model.changes import InputPosition, LedgerEntry
from stream_assoc.core.model.messages import REPROCESSING_HEADER, OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.exceptions import PoisonError
from stream_assoc.pipeline.clock import Stopwatch
from stream_assoc.pipeline.exceptions import ConflictingBatchError, ImageError
from stream_assoc.pipeline.ports.photometry import BatchImages
from stream_assoc.pipeline.region import BatchRegion, region_of
from stream_assoc.pipeline.services import Services


@dataclass(frozen=True, slots=True)
class Arrival:
    """A decoded batch and the sky it needs.

    Attributes
    ----------
    batch : `Batch`
    region : `BatchRegion`
        From `region_of`.
    position : `InputPosition` or `None`
        The message it came in; `None` when it did not come from Kafka.
    seconds : `dict` [`str`, `float`]
        What earlier stages took.
    unlimited : `bool`
        Whether it may create any number of objects: a person has looked at it.
    reprocessing : `bool`
        Whether it may replace an earlier processing of its visit and detector:
        its producer, or a person, has said so.
    images : `BatchImages` or `None`
        Its images, once they have been read.
    image_error : `ImageError` or `None`
        Why its images cannot be used.
    """

    batch: Batch
    region: BatchRegion
    position: InputPosition | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    unlimited: bool = False
    reprocessing: bool = False
    images: BatchImages | None = None
    image_error: ImageError | None = None


def arrive(
    batch: Batch,
    services: Services,
    position: InputPosition | None = None,
    seconds: dict[str, float] | None = None,
    *,
    unlimited: bool = False,
    reprocessing: bool = False,
) -> Arrival:
    """Return the batch with the sky it needs, ready to be processed.

    Parameters
    ----------
    batch : `Batch`
    services : `Services`
    position, seconds, unlimited, reprocessing
        As in `Arrival`.

    Raises
    ------
    InvalidFootprintError
        If its footprint is no convex outline on the sky.
    TooManyCellsError
        If it reaches over more of the sky than `Services.cell_limits` allow.
    """
    services.on_progress()
    watch = Stopwatch(services.clock, seconds)
    with watch.stage("region"):
        radius = services.algorithms.associator.config.max_distance_arcsec
        region = region_of(batch, services.partition, radius, services.cell_limits)
    return Arrival(batch, region, position, watch.seconds, unlimited, reprocessing)


@dataclass(frozen=True, slots=True)
class Processed:
    """A batch that counted: it is in the APDB, its outputs are to be published.

    ``revision`` is above 0 if it replaced an earlier processing.
    ``image_error`` tells why it has no forced sources although it names images.
    ``predecessors`` are the batches whose outputs subscribers must have first;
    they depend on which batches share a transaction, the rest does not.
    """

    id: BatchId
    metrics: AssociationMetrics
    outputs: Sequence[OutputMessage]
    revision: int = 0
    image_error: ImageError | None = None
    predecessors: tuple[BatchRevision, ...] = field(default=(), compare=False)

    @property
    def key(self) -> BatchRevision:
        """What its outputs are kept under until they are published."""
        return BatchRevision(*self.id, self.revision)


@dataclass(frozen=True, slots=True)
class Redelivered:
    """A batch that had counted before: nothing changes, even if a later ``revision`` has replaced it.

    After a crash between the two commits ``outputs`` holds the messages of the
    first time, because they may not have been published; ``predecessors`` are
    those of the first time.
    """

    id: BatchId
    outputs: Sequence[OutputMessage]
    revision: int = 0
    predecessors: tuple[BatchRevision, ...] = field(default=(), compare=False)

    @property
    def key(self) -> BatchRevision:
        """What its outputs are kept under until they are published."""
        return BatchRevision(*self.id, self.revision)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A batch that can never count, and why."""

    id: BatchId
    error: PoisonError


Outcome = Processed | Redelivered | Rejected


def redelivery(arrival: Arrival, entries: Sequence[LedgerEntry], services: Services) -> Redelivered | None:
    """Return what is left to do for a batch that has counted, or `None` if it is to be processed.

    Content that a re-processing has replaced has counted too: it does not come
    back, however often a copy of it arrives.

    Parameters
    ----------
    arrival : `Arrival`
        The batch.
    entries : sequence of `LedgerEntry`
        All processings of its visit and detector.
    services : `Services`
        The outbox keeps the outputs, the encoder unpacks them.

    Raises
    ------
    ConflictingBatchError
        If other content of its visit and detector has counted, and it is not marked to replace that.
    """
    batch = arrival.batch
    known = next((entry for entry in entries if entry.digest == batch.digest), None)
    if known is None:
        if entries and not arrival.reprocessing:
            raise _conflict(batch, entries[-1])
        return None
    # The outputs belong to the message that was processed. A copy of it at another
    # offset publishes nothing: the owner of the original does.
    is_original = arrival.position is not None and known.position == arrival.position
    kept = services.apdb.outbox_entry(known.key) if is_original else None
    if kept is None:
        return Redelivered(batch.id, (), known.revision)
    return Redelivered(batch.id, services.encoder.unpack(kept.outputs), known.revision, kept.predecessors)


def _conflict(batch: Batch, latest: LedgerEntry) -> ConflictingBatchError:
    return ConflictingBatchError(
        f"visit {batch.id.visit} detector {batch.id.detector} was processed at MJD "
        f"{latest.timeProcessedMjdTai:.6f} with other content (digest {latest.digest.hex()[:12]}, "
        f"now {batch.digest.hex()[:12]}); a producer must not reuse a (visit, detector) for different sources. "
        f"If this batch replaces the earlier one, send it with the header {REPROCESSING_HEADER}, "
        "signed, or `stream-assoc dlq replay --as-reprocessing` the dead letter"
    )
