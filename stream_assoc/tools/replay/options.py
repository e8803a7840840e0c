"""Everything that decides a replay: with the same file and the same options it is the same to the byte."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.keys import Keying, keyed
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.replay.pacing import Due, at_once, at_rate, at_speed, in_bursts
from stream_assoc.tools.replay.plan import corrupted, dropped, duplicated, late, limited, shuffled
from stream_assoc.tools.replay.readers import Told, read_messages, untold
from stream_assoc.tools.replay.steps import Step, steps_of
from stream_assoc.tools.transform.mapping import load_mapping


class ReplayOptions(BaseModel):
    """How a file is replayed; the same seed makes the same choices.

    Attributes
    ----------
    mapping : `str` or `None`
        What a table's columns mean.
    order : ``"midpoint"`` or ``"arrival"``
        Order of a table's batches.
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
        self, file: Path, messages: BatchMessages, schemas: WriterSchemas | None = None, told: Told = untold
    ) -> Iterator[Step]:
        """Return the steps of a file.

        Parameters
        ----------
        file : `pathlib.Path`
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
        events = read_messages(file, messages, mapping, self.order, told)
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
