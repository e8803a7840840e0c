"""Errors of the replay room."""

from stream_assoc.exceptions import FatalError


class ReplayError(FatalError):
    """A replay that cannot be done as asked."""


class CaptureError(ReplayError):
    """A capture file that is damaged, cut short or not a capture file."""


class ManifestError(ReplayError):
    """A recorded replay that is missing, damaged, or no longer what it was."""


class ReplayInUseError(ReplayError):
    """Another process is carrying out this recorded replay."""
