"""When each message of a replay is due: pure functions, no clock."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.plan import SECONDS_PER_DAY
from stream_assoc.tools.replay.steps import Step


class Due(NamedTuple):
    """A step, and when it is due: seconds after the start of the replay."""

    seconds: float
    step: Step


def at_once(steps: Iterable[Step]) -> Iterator[Due]:
    """Make every message due immediately: as fast as it goes."""
    return (Due(0.0, step) for step in steps)


def at_rate(steps: Iterable[Step], messages_a_second: float) -> Iterator[Due]:
    """Make messages due at a constant rate, however fast they are taken.

    The load is open-loop: a slow receiver does not slow the plan down, so
    waiting shows up as delay and is not hidden (coordinated omission). A
    message that is dropped leaves a gap.

    Raises
    ------
    ReplayError
        If the rate is not above 0.
    """
    _check_positive("rate", messages_a_second)
    return (Due(index / messages_a_second, step) for index, step in enumerate(steps))


def at_speed(steps: Iterable[Step], speed: float) -> Iterator[Due]:
    """Make messages due as far apart as they were observed, ``speed`` times faster.

    A message observed before one that was already given is due together with
    it, so the order of the messages never changes.

    Raises
    ------
    ReplayError
        If the speed is not above 0.
    """
    _check_positive("speed", speed)
    return _at_speed(steps, speed)


def in_bursts(plan: Iterable[Due], n_messages: int) -> Iterator[Due]:
    """Let messages come ``n_messages`` at a time: each waits for the last of its burst.

    What a link does that was cut and comes back: the mean rate stays.
    """
    plan = iter(plan)
    while burst := list(itertools.islice(plan, n_messages)):
        for due in burst:
            yield Due(burst[-1].seconds, due.step)


def _at_speed(steps: Iterable[Step], speed: float) -> Iterator[Due]:
    begin: float | None = None
    latest = 0.0
    for step in steps:
        begin = step.midpointMjdTai if begin is None else begin
        latest = max(latest, (step.midpointMjdTai - begin) * SECONDS_PER_DAY / speed)
        yield Due(latest, step)


def _check_positive(name: str, value: float) -> None:
    if not value > 0.0:
        raise ReplayError(f"the {name} of a replay must be above 0, not {value}")
