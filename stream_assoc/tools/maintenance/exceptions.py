"""Errors of the maintenance of the cache."""

from stream_assoc.exceptions import FatalError, StreamAssocError


class MaintenanceError(StreamAssocError):
    """Base of the errors of this room."""


class UnknownTileError(MaintenanceError, FatalError):
    """A tile was named that the sky is not divided into."""
