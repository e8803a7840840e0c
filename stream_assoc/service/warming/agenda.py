"""The announced visits that wait to be warmed: which is next, and which need not be any more."""

import heapq
import itertools
from bisect import insort
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from stream_assoc.core.model.announced_visits import AnnouncedVisit
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.core.model.times import SECONDS_PER_DAY, is_plausible_mjd, mjd_tai_of_unix

PAST: Final = "past"
SUPERSEDED: Final = "superseded"
REPEATED: Final = "repeated"
CROWDED: Final = "crowded"
OTHER_INSTRUMENT: Final = "instrument"
REASONS: Final = (PAST, SUPERSEDED, REPEATED, CROWDED, OTHER_INSTRUMENT)
"""Why an announcement that could be used is dropped all the same."""

MOST_WAITING: Final = 10_000
"""Ten nights of Rubin. Whoever announces more does not tell what comes next."""

_REMEMBERED: Final = 10_000

Name: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """An announcement.

    Attributes
    ----------
    visit : `AnnouncedVisit`
        What is announced.
    position : `InputPosition`
        Its message.
    begins : `float`
        When the visit begins, MJD TAI; where that is not told, when it was announced.
    """

    visit: AnnouncedVisit
    position: InputPosition
    begins: float

    @property
    def name(self) -> Name | None:
        """What another announcement of the same visit has too; `None` if nothing tells."""
        return (self.visit.instrument, self.visit.groupId) if self.visit.groupId else None


def entry_of(message: InputMessage, visit: AnnouncedVisit, now: float) -> Entry:
    """Return the entry of a message that announces this visit; ``now`` is the time, MJD TAI."""
    begins = visit.startMjdTai
    return Entry(visit, message.position, _announced(message, now) if begins is None else begins)


def _announced(message: InputMessage, now: float) -> float:
    """Return when a message was sent; of one whose producer gave it no date of a calendar, when it is read."""
    if message.timestamp_ms <= 0:
        return now
    try:
        announced = mjd_tai_of_unix(message.timestamp_ms / 1000)
    except ValueError:
        return now
    return announced if is_plausible_mjd(announced) else now


class Agenda:
    """Announced visits, the one that begins first to be warmed first.

    Parameters
    ----------
    ahead_seconds, past_after_seconds : `float`
        From when to when, around its beginning, a visit is warmed.
    now : callable
        The time, MJD TAI.
    on_drop : callable
        Called with each entry that need not be warmed any more, and why.
    """

    def __init__(
        self,
        ahead_seconds: float,
        past_after_seconds: float,
        now: Callable[[], float],
        on_drop: Callable[[Entry, str], None],
    ) -> None:
        self._ahead = ahead_seconds / SECONDS_PER_DAY
        self._past = past_after_seconds / SECONDS_PER_DAY
        self._now = now
        self._on_drop = on_drop
        self._waiting: list[tuple[float, int, Entry]] = []
        self._tickets = itertools.count()
        self._latest: OrderedDict[Name, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry) -> None:
        """Take in an announcement; one of the same visit that says something else takes the earlier one's place."""
        if entry.begins + self._past < self._now():
            self._on_drop(entry, PAST)
        elif entry.name is not None and self._is_known(entry.name, entry):
            self._on_drop(entry, REPEATED)
        else:
            insort(self._waiting, (entry.begins, next(self._tickets), entry))
            # Whoever announces years to come does not keep out what begins sooner.
            if len(self._waiting) > MOST_WAITING:
                self._crowd_out(self._waiting.pop()[-1])

    def next(self) -> Entry | None:
        """Return the visit to be warmed now, and take it off the agenda; `None` if there is none for now."""
        while self._waiting and self._waiting[0][0] - self._ahead <= self._now():
            _, _, entry = self._waiting.pop(0)
            if (reason := self.why_not(entry)) is None:
                return entry
            self._on_drop(entry, reason)
        return None

    def why_not(self, entry: Entry) -> str | None:
        """Return why a visit need not be warmed any more, `None` if it should be."""
        if entry.begins + self._past < self._now():
            return PAST
        # Of those that are forgotten nothing later is known.
        if entry.name is not None and self._latest.get(entry.name, entry) is not entry:
            return SUPERSEDED
        return None

    def _crowd_out(self, entry: Entry) -> None:
        """Drop an entry so that it can be announced again."""
        if entry.name is not None and self._latest.get(entry.name) is entry:
            del self._latest[entry.name]
        self._on_drop(entry, CROWDED)

    def _is_known(self, name: Name, entry: Entry) -> bool:
        """Tell whether the same was announced before; remember it otherwise."""
        before = self._latest.get(name)
        if before is not None and before.visit == entry.visit:
            return True
        self._latest[name] = entry
        self._latest.move_to_end(name)
        if len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)
        return False


class Unfinished:
    """Which messages are not finished, so that none before a committed offset is lost."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], set[int]] = {}
        # Of each partition the same and others that are finished, the lowest on top.
        self._begun: dict[tuple[str, int], list[int]] = {}
        self._last: dict[tuple[str, int], int] = {}

    def begin(self, position: InputPosition) -> None:
        """Take note of a message."""
        partition = (position.topic, position.partition)
        self._open.setdefault(partition, set()).add(position.offset)
        heapq.heappush(self._begun.setdefault(partition, []), position.offset)
        self._last[partition] = max(self._last.get(partition, -1), position.offset)

    def finish(self, position: InputPosition) -> InputPosition | None:
        """Finish a message; return the last one up to which all are, `None` if there is none."""
        partition = (position.topic, position.partition)
        still_open, begun = self._open.get(partition, set()), self._begun.get(partition, [])
        still_open.discard(position.offset)
        while begun and begun[0] not in still_open:
            heapq.heappop(begun)
        last = begun[0] - 1 if begun else self._last.get(partition, position.offset)
        return InputPosition(*partition, last) if last >= 0 else None
