"""Errors of the data model."""

from stream_assoc.exceptions import FatalError, PoisonError


class InvalidBatchError(PoisonError):
    """A batch whose content no processing can make sense of.

    Parameters
    ----------
    message : `str`
        What is wrong and what a producer would change.
    reason : `str`
        The machine-readable cause, such as ``unknown_band``.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SchemaError(FatalError):
    """The installed ``lsst-sdm-schemas`` cannot be read as this version expects."""
