"""What may become of a batch: it counts, it had counted before, or it never can."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.exceptions import PoisonError
from stream_assoc.pipeline.exceptions import ImageError


@dataclass(frozen=True, slots=True)
class Processed:
    """A batch that counted: it is in the APDB, its outputs are to be published.

    ``revision`` is above 0 if it took the place of an earlier processing.
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
    """A batch that had counted before: nothing changes, also if a later ``revision`` has taken its place.

    ``outputs`` holds the very messages of the first time when those are not
    known to be published, which is so after a crash between the two commits;
    ``predecessors`` are those of the first time.
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
