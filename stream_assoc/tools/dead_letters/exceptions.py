"""Errors of the dead letter office."""

from stream_assoc.exceptions import FatalError


class DeadLettersError(FatalError):
    """Something asked of the dead letters that cannot be done."""


class DeadLetterNotFoundError(DeadLettersError):
    """There is no dead letter at this address, or none any more."""


class NotConflictingError(DeadLettersError):
    """A letter that cannot take the place of an earlier batch, because it was set aside for another reason."""


class NotQuarantinedError(DeadLettersError):
    """A letter that cannot be released, because it is not held back for its many new objects."""


class NoAuthorityError(DeadLettersError):
    """A letter that cannot be sent with a mark, because no daemon would heed it."""


class DeadLetterIncompleteError(DeadLettersError):
    """A letter that cannot be sent back, because its message was too large to go into it whole."""
