"""Stamps of messages that a recorded replay sent."""

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.tools.replay.messages import Stamp, stamp_of


def stamp_on(message: OutputMessage) -> Stamp:
    """Return the stamp of a message, which must have one."""
    stamp = stamp_of(message.headers)
    assert stamp is not None, message.headers
    return stamp
