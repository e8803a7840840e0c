"""The steps of a replay: what becomes of each message of a file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.tools.replay.messages import TimedMessage


@dataclass(frozen=True, slots=True)
class Step:
    """One message to be sent, or left out.

    Attributes
    ----------
    position : `int`
        Of the message in its file; 0 is the first.
    message : `OutputMessage`
        As it is sent.
    midpointMjdTai : `float`
        When it would be sent at the pace of the sky, MJD TAI: when it was
        observed, or later.
    is_copy, is_late, is_damaged, is_dropped : `bool`
        Sent before, held back, spoilt on purpose, not sent at all.
    """

    position: int
    message: OutputMessage
    midpointMjdTai: float
    is_copy: bool = False
    is_late: bool = False
    is_damaged: bool = False
    is_dropped: bool = False


def steps_of(events: Iterable[TimedMessage]) -> Iterator[Step]:
    """Give each message one step, in their order."""
    for position, event in enumerate(events):
        yield Step(position, event.message, event.midpointMjdTai)
