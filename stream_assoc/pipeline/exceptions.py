"""Errors that a batch can meet: its own, and those that the ports promise."""

from typing import ClassVar, Final

from stream_assoc.exceptions import PoisonError, RetriableError, StreamAssocError

CONFLICT: Final = "conflicting_batch"
"""The reason of the dead letters that a mark as re-processing would have spared."""


class PipelineError(StreamAssocError):
    """Base of the errors raised while a batch is processed."""


class ConflictingBatchError(PipelineError, PoisonError):
    """A (visit, detector) that has been processed arrives again with other content, not marked as a re-processing."""

    reason = CONFLICT


class TooManyCellsError(PipelineError, PoisonError):
    """A batch reaches over more of the sky than can be held at once."""

    reason = "too_many_cells"


class ImageError(PipelineError):
    """Nothing can be measured on an image that a batch names.

    None of the three kinds of failure, because it must reach nobody: the
    sources of the batch are as good as any, so it is associated as always.
    Whoever was to read the image catches this, measures nothing on it and
    counts that.

    Attributes
    ----------
    reason : `str`
        Short machine-readable name of the cause, which the metrics carry.
    """

    reason: ClassVar[str] = "image"


class ApdbError(PipelineError):
    """Base of all errors of the APDB."""


class ApdbUnavailableError(ApdbError, RetriableError):
    """The database cannot be reached, is shutting down, is locked or is full."""


class FencedError(ApdbUnavailableError):
    """A session had lost its cells before it committed: nothing of it is stored, and nothing ever will be.

    Its connection died with its locks, or another session took its cells over.
    Tried again, the batches get a session of their own.
    """


class TilesChangedError(ApdbError, RetriableError):
    """Another program changed objects around a batch after the session had read them; nothing was stored.

    It takes no lock of ours, so this is found out when the batch is to be
    stored. Tried again, the batch is decided about the sky as it is now.
    """


class LocksExhaustedError(ApdbUnavailableError):
    """The backend cannot hold so many cells at once: the same cells asked for again would fail again.

    Parameters
    ----------
    message : `str`
        Cause and remedy, in the backend's own terms.
    n_cells : `int`
        How many were asked for.
    fair_share : `int`
        How many each session can hold, if all hold as many.
    """

    def __init__(self, message: str, n_cells: int, fair_share: int) -> None:
        super().__init__(message)
        self.n_cells = n_cells
        self.fair_share = fair_share


class LedgerConflictError(ApdbError, RetriableError):
    """Another session stored the same batch meanwhile, under other cells; nothing was written.

    It takes two messages of one visit and detector with footprints that share
    no cell. Tried again, the batch finds the other's ledger entry.
    """


class DuplicateSourceError(ApdbError, PoisonError):
    """A batch brings a diaSourceId that another batch has stored."""

    reason = "duplicate_source"


class RowsRefusedError(ApdbError, PoisonError):
    """The database refuses the batch's rows: a value is missing, too long or repeated."""

    reason = "refused_by_apdb"
