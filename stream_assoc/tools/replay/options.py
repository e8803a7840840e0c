"""Everything that decides a replay: with the same file and the same options it is the same to the byte."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream_assoc.core.model.times import SECONDS_PER_DAY
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.tools.replay.alerts.reading import AlertOptions
from stream_assoc.tools.replay.alerts.sources import AlertTopic
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.replay.plan import (
    Keying,
    Step,
    corrupted,
    dropped,
    duplicated,
    keyed,
    late,
    limited,
    shuffled,
    steps_of,
)
from stream_assoc.tools.replay.readers import Told, read_messages, untold
from stream_assoc.tools.transform.mapping import load_mapping


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


class ReplayOptions(BaseModel):
    """How a file is replayed; the same seed makes the same choices.

    Attributes
    ----------
    mapping : `str` or `None`
        What a table's columns mean.
    order : ``"midpoint"`` or ``"arrival"``
        Order of a table's batches.
    history, skip_bad : `bool`
        Of alerts: the sources of their histories too; go on after a bad one.
    limit : `int` or `None`
        Only the first messages.
    shuffle : `bool`
        In a random order.
    duplicate, drop, corrupt, late : `float`
        Expected copies of each message; fraction of the messages left out,
        spoilt, and held back.
    late_by_seconds : `float`
        How long at most, in the sky's time.
    key : `Keying`
        What shares a partition.
    speed, rate : `float` or `None`
        Pace: times faster than observed, or messages a second. Neither: as
        fast as it goes.
    burst : `int`
        Messages that come together.
    seed : `int`
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mapping: str | None = None
    order: Literal["midpoint", "arrival"] = "midpoint"
    history: bool = False
    skip_bad: bool = False
    limit: int | None = Field(default=None, ge=1)
    shuffle: bool = False
    duplicate: float = Field(default=0.0, ge=0.0)
    drop: float = Field(default=0.0, ge=0.0, le=1.0)
    corrupt: float = Field(default=0.0, ge=0.0, le=1.0)
    late: float = Field(default=0.0, ge=0.0, le=1.0)
    late_by_seconds: float = Field(default=600.0, gt=0.0)
    key: Keying = "file"
    speed: float | None = Field(default=None, gt=0.0)
    rate: float | None = Field(default=None, gt=0.0)
    burst: int = Field(default=1, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _one_pace(self) -> Self:
        if self.speed is not None and self.rate is not None:
            raise ValueError("give a speed or a rate, not both")
        if self.burst > 1 and self.speed is None and self.rate is None:
            raise ValueError("a burst needs a speed or a rate: without one everything is due at once")
        return self

    def steps(
        self,
        source: Path | AlertTopic,
        messages: BatchMessages,
        schemas: WriterSchemas | None = None,
        told: Told = untold,
    ) -> Iterator[Step]:
        """Return the steps of a file.

        Parameters
        ----------
        source : `pathlib.Path` or `AlertTopic`
            See `~stream_assoc.tools.replay.readers.read_messages`.
        messages : `BatchMessages`
            Makes messages of a table's batches, and names the topic.
        schemas : `WriterSchemas`, optional
            Where the writer schemas of recorded messages are found.
        told : callable, optional
            Given what became of the rows of a table, before its first step.

        Raises
        ------
        ReplayError
            If the file cannot be read as asked.
        """
        mapping = None if self.mapping is None else load_mapping(self.mapping)
        alerts = AlertOptions(self.history, self.skip_bad, schemas)
        events = read_messages(source, messages, mapping, self.order, told, alerts)
        if self.limit is not None:
            events = limited(events, self.limit)
        steps = steps_of(events)
        if self.shuffle:
            steps = shuffled(steps, self.seed)
        steps = keyed(steps, self.key, schemas)
        if self.duplicate:
            steps = duplicated(steps, self.duplicate, self.seed)
        if self.drop:
            steps = dropped(steps, self.drop, self.seed)
        if self.late:
            steps = late(steps, self.late, self.late_by_seconds, self.seed)
        if self.corrupt:
            steps = corrupted(steps, self.corrupt, self.seed)
        return steps

    def paced(self, steps: Iterator[Step]) -> Iterator[Due]:
        """Return when each step is due."""
        if self.speed is not None:
            plan = at_speed(steps, self.speed)
        elif self.rate is not None:
            plan = at_rate(steps, self.rate)
        else:
            plan = at_once(steps)
        return in_bursts(plan, self.burst) if self.burst > 1 else plan


def replay_options(**values: object) -> ReplayOptions:
    """Return options, or raise `ReplayError` that tells what is wrong with them."""
    try:
        return ReplayOptions.model_validate(values)
    except ValidationError as error:
        details = error.errors()
        raise ReplayError(
            "; ".join(
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ").replace("Value error, ", "")
                for one in details
            )
        ) from None
