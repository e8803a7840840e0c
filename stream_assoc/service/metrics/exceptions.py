"""Errors of the metrics."""

from stream_assoc.exceptions import FatalError, StreamAssocError


class MetricsError(StreamAssocError):
    """Base of the errors of the metrics."""


class MetricsPortError(MetricsError, FatalError):
    """The port that Prometheus is to find the daemon on cannot be listened on."""
