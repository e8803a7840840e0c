"""Errors of the pipeline itself."""

from stream_assoc.exceptions import PoisonError, StreamAssocError
from stream_assoc.messaging.reprocessing import CONFLICT


class PipelineError(StreamAssocError):
    """Base of the errors raised while a batch is processed."""


class ConflictingBatchError(PipelineError, PoisonError):
    """A (visit, detector) that has been processed arrives again with other content, not marked as a re-processing."""

    reason = CONFLICT


class TooManyCellsError(PipelineError, PoisonError):
    """A batch reaches over more of the sky than can be held at once."""

    reason = "too_many_cells"
