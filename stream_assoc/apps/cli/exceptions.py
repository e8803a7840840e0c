"""Errors of the commands."""

from stream_assoc.exceptions import StreamAssocError


class CommandError(StreamAssocError):
    """A command could not do what it was asked to; the message names cause and remedy."""
