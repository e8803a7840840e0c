"""Errors of the transformation room."""

from stream_assoc.exceptions import FatalError


class TransformError(FatalError):
    """A catalogue cannot be turned into batches."""


class MappingError(TransformError):
    """A column mapping is wrong, or does not fit the table it is applied to."""


class FootprintError(TransformError):
    """The sources of a batch outline no patch of sky."""
