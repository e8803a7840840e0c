"""When each message of a replay is due: pure functions, no clock."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stream_assoc.replay.exceptions import ReplayError
from stream_assoc.replay.messages import TimedMessage
from stream_assoc.stream.messages import OutputMessage

SECONDS_PER_DAY = 86_400.0


class Due(NamedTuple):
    """A message, and when to send it: seconds after the start of the replay."""

    seconds: float
    message: OutputMessage


def at_once(events: Iterable[TimedMessage]) -> Iterator[Due]:
    """Make every message due immediately: as fast as it goes."""
    return (Due(0.0, event.message) for event in events)


def at_rate(events: Iterable[TimedMessage], messages_a_second: float) -> Iterator[Due]:
    """Make messages due at a constant rate, however fast they are taken.

    The load is open-loop: a slow receiver does not slow the plan down, so
    waiting shows up as delay and is not hidden (coordinated omission).

    Raises
    ------
    ReplayError
        If the rate is not above 0.
    """
    _check_positive("rate", messages_a_second)
    return (Due(index / messages_a_second, event.message) for index, event in enumerate(events))


def at_speed(events: Iterable[TimedMessage], speed: float) -> Iterator[Due]:
    """Make messages due as far apart as they were observed, ``speed`` times faster.

    A message observed before one that was already given is due together with
    it, so the order of the messages never changes.

    Raises
    ------
    ReplayError
        If the speed is not above 0.
    """
    _check_positive("speed", speed)
    return _at_speed(events, speed)


def _at_speed(events: Iterable[TimedMessage], speed: float) -> Iterator[Due]:
    begin: float | None = None
    latest = 0.0
    for event in events:
        begin = event.midpointMjdTai if begin is None else begin
        latest = max(latest, (event.midpointMjdTai - begin) * SECONDS_PER_DAY / speed)
        yield Due(latest, event.message)


def _check_positive(name: str, value: float) -> None:
    if not value > 0.0:
        raise ReplayError(f"the {name} of a replay must be above 0, not {value}")
