"""Errors of the archive. What is wrong with the database itself comes as an `ApdbError`."""

from stream_assoc.exceptions import StreamAssocError


class ArchiveError(StreamAssocError):
    """Base of all errors of the archive."""


class NotInArchiveError(ArchiveError):
    """The APDB holds no such object, source or batch."""


class AnswerTooLargeError(ArchiveError):
    """An answer would need more rows than are read at once."""
