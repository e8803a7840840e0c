"""Errors of reports."""

from stream_assoc.exceptions import FatalError


class ReportError(FatalError):
    """A report that cannot be made as asked."""
