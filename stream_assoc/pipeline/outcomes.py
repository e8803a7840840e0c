"""What may become of a batch: it counts, it had counted before, or it never can."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream_assoc.exceptions import PoisonError
from stream_assoc.metrics.record import AssociationMetrics
from stream_assoc.model.batch import BatchId
from stream_assoc.stream.messages import OutputMessage


@dataclass(frozen=True, slots=True)
class Processed:
    """A batch that counted: it is in the APDB, its outputs are to be published."""

    id: BatchId
    metrics: AssociationMetrics
    outputs: Sequence[OutputMessage]


@dataclass(frozen=True, slots=True)
class Redelivered:
    """A batch that had counted before: nothing changes.

    ``outputs`` holds the very messages of the first time when those are not
    known to be published, which is so after a crash between the two commits.
    """

    id: BatchId
    outputs: Sequence[OutputMessage]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A batch that can never count, and why."""

    id: BatchId
    error: PoisonError


Outcome = Processed | Redelivered | Rejected
