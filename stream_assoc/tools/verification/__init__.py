"""Judging a replay by what came of it, and comparing two runs."""

from stream_assoc.exceptions import FatalError


class VerificationError(FatalError):
    """A replay cannot be judged, or two runs cannot be compared."""
