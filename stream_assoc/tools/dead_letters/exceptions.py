"""Errors of the dead letter office."""

from stream_assoc.exceptions import FatalError


class DeadLetterOfficeError(FatalError):
    """Something asked of the dead letters that cannot be done."""


class LetterNotFoundError(DeadLetterOfficeError):
    """There is no dead letter at this address, or none any more."""


class NotConflictingError(DeadLetterOfficeError):
    """A letter that cannot take the place of an earlier batch, because it was set aside for another reason."""


class NotQuarantinedError(DeadLetterOfficeError):
    """A letter that cannot be released, because it is not held back for its many new objects."""


class NoAuthorityError(DeadLetterOfficeError):
    """A letter that cannot be sent with a mark, because no daemon would heed it."""


class LetterIncompleteError(DeadLetterOfficeError):
    """A letter that cannot be sent back, because its message was too large to go into it whole."""
