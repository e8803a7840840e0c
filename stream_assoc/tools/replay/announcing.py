"""Announces the visits of a replay before their batches are due, as an observatory does before it takes them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.announced_visits import AnnouncedVisit
from stream_assoc.core.model.times import mjd_tai_of_unix
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.messaging.avro.batch_header import batch_outline
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.replay.options import Due
from stream_assoc.tools.replay.runner import Timer

_MOST_MESSAGES: Final = 1000
"""Of one visit that are looked at for where it points; Rubin has 189."""


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A step that was read ahead, with its visit and where that lies on the sky, if it is a batch."""

    due: Due
    visit: int | None
    centre: FloatArray


class Announcing:
    """Puts announcements before a plan.

    Parameters
    ----------
    lead_seconds : `float`
        How long before its first message is due a visit is announced, at least. So long the plan is read ahead,
        and its beginning put off.
    announce : callable
        Announces a visit.
    schemas : `WriterSchemas`, optional
        Where the writer schemas of messages are found.
    timer : `Timer`, optional
    """

    def __init__(
        self,
        lead_seconds: float,
        announce: Callable[[AnnouncedVisit], None],
        schemas: WriterSchemas | None = None,
        timer: Timer | None = None,
    ) -> None:
        self._lead = lead_seconds
        self._announce = announce
        self._schemas = schemas
        self._timer = timer or Timer()
        self._announced: set[int] = set()

    def __call__(self, plan: Iterable[Due]) -> Iterator[Due]:
        """Give the steps of a plan, whose pace is not changed; they are taken when they are due."""
        rest, ahead = map(self._read, plan), deque[_Ahead]()
        begin: float | None = None
        while self._read_on(rest, ahead):
            if begin is None:
                begin = self._timer.now() + self._lead - ahead[0].due.seconds
                self._announce_all(ahead, begin)
                self._timer.wait(self._lead)
            else:
                self._announce_all(ahead, begin)
            yield ahead.popleft().due

    def _read_on(self, rest: Iterator[_Ahead], ahead: "deque[_Ahead]") -> bool:
        """Read all that is due within the lead, and the rest of its last visit; tell whether there is anything."""
        while not ahead or ahead[-1].due.seconds <= ahead[0].due.seconds + self._lead or self._is_within(ahead):
            if (one := next(rest, None)) is None:
                break
            ahead.append(one)
        return bool(ahead)

    def _is_within(self, ahead: "deque[_Ahead]") -> bool:
        """Tell whether the last message that was read belongs to a visit that is to be announced now."""
        last = ahead[-1].visit
        return (
            last is not None
            and last not in self._announced
            and len(ahead) < _MOST_MESSAGES
            and any(one.visit == last for one in ahead if one.due.seconds <= ahead[0].due.seconds + self._lead)
        )

    def _read(self, due: Due) -> _Ahead:
        try:
            visit, outline = batch_outline(due.step.message.value, self._schemas)
        except DecodeError:
            # Some are spoilt on purpose.
            return _Ahead(due, None, np.zeros(3))
        return _Ahead(due, visit, unit_vectors(outline[:, 0], outline[:, 1]).mean(axis=0))

    def _announce_all(self, ahead: "deque[_Ahead]", begin: float) -> None:
        horizon = ahead[0].due.seconds + self._lead
        for one in list(ahead):
            if one.due.seconds > horizon or one.visit is None or one.visit in self._announced:
                continue
            self._announced.add(one.visit)
            middle = np.sum([other.centre for other in ahead if other.visit == one.visit], axis=0)
            ((ra,), (dec,)) = to_radec(middle[None, :])
            start = mjd_tai_of_unix(begin + one.due.seconds)
            self._announce(AnnouncedVisit(float(ra), float(dec), start, str(one.visit)))
