"""Errors of the stream, by what a caller can do about them."""

from stream_assoc.exceptions import FatalError, PoisonError, RetriableError, StreamAssocError


class StreamError(StreamAssocError):
    """Base of all errors of the stream."""


class DecodeError(StreamError, PoisonError):
    """Bytes that are not a message of this package's schemas.

    Parameters
    ----------
    message : `str`
        What is wrong and what a producer would change.
    reason : `str`
        The machine-readable cause: ``empty``, ``too_large``, ``undecodable``,
        ``unknown_schema``, ``missing_columns`` or ``incompatible_schema``.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class AnnouncementError(StreamError, PoisonError):
    """An announcement of a visit that cannot be used: nothing is warmed for it.

    Parameters
    ----------
    message : `str`
        What is wrong and what a producer would change.
    reason : `str`
        The machine-readable cause: ``not_on_sky``, ``coordinates``, ``position``, ``start`` or ``undecodable``.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnauthorisedError(StreamError, PoisonError):
    """A message asks in a header for what its sender may not ask for."""

    reason = "unauthorised"


class EncodeError(StreamError, FatalError):
    """Rows that do not fit the schema they are to be written in: an error of this program."""


class AvroSchemaError(StreamError, FatalError):
    """A schema file is missing, or is not what ``lsst-sdm-schemas`` generates."""


class OutboxFormatError(StreamError, FatalError):
    """Stored outputs that cannot be read back: damaged, or written by a newer version."""


class RegistryUnavailableError(StreamError, RetriableError):
    """The Schema Registry cannot be reached or does not answer in time."""


class RegistryConfigurationError(StreamError, FatalError):
    """The Schema Registry refuses this client or this schema."""


class PublishError(StreamError, RetriableError):
    """A transaction was aborted: nothing was published, no offset was committed."""
