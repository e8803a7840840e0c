"""Errors of the APDB, by what a caller can do about them."""

from stream_assoc.exceptions import FatalError, PoisonError, RetriableError, StreamAssocError


class ApdbError(StreamAssocError):
    """Base of all errors of the APDB adapters."""


class ApdbUnavailableError(ApdbError, RetriableError):
    """The database cannot be reached, is shutting down, is locked or is full."""


class ApdbSchemaError(ApdbError, FatalError):
    """The database is not an APDB of the schema version this package writes."""


class DuplicateSourceError(ApdbError, PoisonError):
    """A batch brings a diaSourceId that another batch has stored."""

    reason = "duplicate_source"
