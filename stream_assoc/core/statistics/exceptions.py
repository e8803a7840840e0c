"""Errors of the statistics."""

from stream_assoc.exceptions import FatalError, StreamAssocError


class StatisticsError(StreamAssocError):
    """Base of all errors of the statistics."""


class PluginError(StatisticsError, FatalError):
    """A statistics plugin is unknown, broken, or in conflict with another one."""
