"""Errors of the dashboard."""

from stream_assoc.exceptions import FatalError, StreamAssocError


class WebError(StreamAssocError):
    """Base of all errors of the dashboard."""


class QueryError(WebError):
    """What was asked cannot be understood; the message says what can."""


class DashboardPortError(WebError, FatalError):
    """The dashboard cannot listen where it is told to."""
