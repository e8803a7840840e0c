"""Errors of the APDB, by what a caller can do about them."""

from stream_assoc.exceptions import FatalError, PoisonError, RetriableError, StreamAssocError


class ApdbError(StreamAssocError):
    """Base of all errors of the APDB adapters."""


class ApdbUnavailableError(ApdbError, RetriableError):
    """The database cannot be reached, is shutting down, is locked or is full."""


class LedgerConflictError(ApdbError, RetriableError):
    """Another session stored the same batch meanwhile, under other cells; nothing was written.

    It takes two messages of one visit and detector with footprints that share
    no cell. Tried again, the batch finds the other's ledger entry.
    """


class ApdbConfigurationError(ApdbError, FatalError):
    """A setting of the APDB is wrong, such as ``apdb.url``."""


class ApdbDamagedError(ApdbError, FatalError):
    """The database says that what it holds is damaged: it must be restored before anything is written."""


class ApdbSchemaError(ApdbError, FatalError):
    """The database is not an APDB of the schema version this package writes."""


class DuplicateSourceError(ApdbError, PoisonError):
    """A batch brings a diaSourceId that another batch has stored."""

    reason = "duplicate_source"


class RowsRefusedError(ApdbError, PoisonError):
    """The database refuses the batch's rows: a value is missing, too long or repeated."""

    reason = "refused_by_apdb"
