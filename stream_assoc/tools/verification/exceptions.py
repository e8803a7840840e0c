"""Errors of verification."""

from stream_assoc.exceptions import FatalError


class VerificationError(FatalError):
    """What was to be judged cannot be: it is missing, or of another kind."""
