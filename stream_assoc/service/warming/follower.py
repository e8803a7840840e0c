"""The loop that reads announcements and warms the sky of each.

Nothing that is read here can do harm: an announcement that cannot be used is
counted, logged and skipped, and what is written to the cache is right whenever
it is written (`stream_assoc.pipeline.warming`). So it may be killed at any
time; announcements that were not finished are read again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol, TypeVar

import structlog

from stream_assoc.core.model.announced_visits import AnnouncedVisit
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.core.model.times import SECONDS_PER_DAY, mjd_tai_of_unix
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.avro.next_visits import NOT_ON_SKY
from stream_assoc.messaging.exceptions import AnnouncementError
from stream_assoc.pipeline.region import SkyPartition
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff
from stream_assoc.service.warming.agenda import OTHER_INSTRUMENT, Agenda, Entry, Unfinished, entry_of
from stream_assoc.service.warming.pace import Pace
from stream_assoc.settings.warming import WarmingSettings

_LISTEN_SECONDS: Final = 0.5
_ARCSEC_PER_DEGREE: Final = 3600.0

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class Announcements(Protocol):
    """Where announcements come from."""

    def read(self, seconds: float) -> list[InputMessage]:
        """Return what has arrived, waiting at most that long for the first message."""

    def done_with(self, position: InputPosition) -> None:
        """Note that nobody need be given this message again, nor those before it."""

    def commit(self) -> None:
        """Tell the others what was noted."""


class Warms(Protocol):
    """Fills the cache; see `~stream_assoc.pipeline.warming.Warmer`."""

    @property
    def partition(self) -> SkyPartition:
        """How the sky is divided into tiles."""

    def warm(self, tiles: IntArray) -> Iterator[Warmed]:
        """Write what the cache lacks of these tiles, portion by portion."""


class Observer(Protocol):
    """Is told how warming goes on."""

    def announced(self) -> None:
        """Count a visit that was announced and can be warmed."""

    def dropped(self, reason: str) -> None:
        """Count an announcement that was not warmed, or not to the end."""

    def warmed(self, portion: Warmed) -> None:
        """Count a portion."""

    def finished(self, seconds: float, lead_seconds: float) -> None:
        """Observe a visit that is warm: how long it took, pauses left out, and how long before it begins."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a follower works with.

    Attributes
    ----------
    announcements : `Announcements`
    decode : callable
        Returns the visit of a message's value, or raises `AnnouncementError`.
    warmer : `Warms`
    pace : `Pace`
    observer : `Observer`
    backoff : `Backoff`
        Between two tries while a service is away.
    """

    announcements: Announcements
    decode: Callable[[bytes | None], AnnouncedVisit]
    warmer: Warms
    pace: Pace
    observer: Observer
    backoff: Backoff


class Follower:
    """Warms the sky of visits as they are announced.

    Parameters
    ----------
    means : `Means`
    settings : `WarmingSettings`
    stop : `StopRequest`
        Ends it after the portion in hand.
    unix_time : callable, optional
        A clock in seconds since 1970 UTC.
    """

    def __init__(
        self,
        means: Means,
        settings: WarmingSettings,
        stop: StopRequest,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._means = means
        self._settings = settings
        self._stop = stop
        self._unix_time = unix_time
        self._agenda = Agenda(settings.ahead_seconds, settings.past_after_seconds, self._now, self._drop)
        self._unfinished = Unfinished()
        self._is_told = True

    def run(self) -> None:
        """Follow announcements until asked to stop.

        Raises
        ------
        FatalError
            If a service cannot be used as configured.
        """
        while not self._stop.is_set():
            self.turn(_LISTEN_SECONDS)

    def turn(self, seconds: float) -> None:
        """Read what has arrived, waiting at most so long for it, and warm one visit if it is time to."""
        self._take_in(seconds)
        if (entry := self._agenda.next()) is not None:
            self._patiently(partial(self._warm, entry))

    def _now(self) -> float:
        return mjd_tai_of_unix(self._unix_time())

    def _take_in(self, seconds: float) -> None:
        messages = self._patiently(partial(self._means.announcements.read, seconds)) or []
        for message in messages:
            self._unfinished.begin(message.position)
            self._patiently(partial(self._put, message))
        self._tell_finished()

    def _put(self, message: InputMessage) -> None:
        place = f"{message.position.topic}[{message.position.partition}]@{message.position.offset}"
        try:
            visit = self._means.decode(message.value)
        except AnnouncementError as error:
            if error.reason == NOT_ON_SKY:
                log.info("announcement not of the sky", error=str(error), message=place)
            else:
                log.warning("announcement of no use", reason=error.reason, error=str(error), message=place)
            self._means.observer.dropped(error.reason)
            self._finish(message.position)
            return
        entry = entry_of(message, visit, self._now())
        if self._settings.instruments and visit.instrument not in ("", *self._settings.instruments):
            self._drop(entry, OTHER_INSTRUMENT)
            return
        self._means.observer.announced()
        self._agenda.add(entry)

    def _warm(self, entry: Entry) -> None:
        visit, radius = entry.visit, self._settings.radius_deg * _ARCSEC_PER_DEGREE
        tiles = trixels_near([visit.ra], [visit.dec], radius, self._means.warmer.partition.tile_level)
        total, seconds = Warmed(), 0.0
        begin = time.monotonic()
        for portion in self._means.warmer.warm(tiles):
            worked = time.monotonic() - begin
            total, seconds = total + portion, seconds + worked
            self._means.observer.warmed(portion)
            self._means.pace.rest(worked)
            self._take_in(0.0)
            if self._stop.is_set():
                return
            if (reason := self._agenda.why_not(entry)) is not None:
                self._drop(entry, reason)
                return
            begin = time.monotonic()
        lead = (entry.begins - self._now()) * SECONDS_PER_DAY
        self._means.observer.finished(seconds, lead)
        log.info(
            "visit warmed",
            visit=visit.name,
            tiles=total.tiles,
            states=total.states,
            written_tiles=total.written_tiles,
            written_states=total.written_states,
            seconds=round(seconds, 2),
            lead_seconds=round(lead, 1),
        )
        self._finish(entry.position)
        self._tell_finished()

    def _drop(self, entry: Entry, reason: str) -> None:
        # A follower that begins may meet a week of what is past.
        log.debug("announcement dropped", reason=reason, visit=entry.visit.name)
        self._means.observer.dropped(reason)
        self._finish(entry.position)

    def _finish(self, position: InputPosition) -> None:
        if (done := self._unfinished.finish(position)) is not None:
            self._means.announcements.done_with(done)
            self._is_told = False

    def _tell_finished(self) -> None:
        """Tell the broker what is finished, of many messages at once: each time it is waited for."""
        if not self._is_told:
            self._patiently(self._means.announcements.commit)
            self._is_told = True

    def _patiently(self, action: Callable[[], Result]) -> Result | None:
        return patiently(action, self._means.backoff, self._stop)


def patiently(action: Callable[[], Result], backoff: Backoff, stop: StopRequest) -> Result | None:
    """Return what the action returns, trying again while a service is away; `None` if asked to stop first."""
    failures, random = 0, Random()
    while not stop.is_set():
        try:
            return action()
        except RetriableError as error:
            failures += 1
            wait = backoff.wait_seconds(failures, random.random())
            log.warning("warming waits", error=str(error), failures=failures, wait_seconds=round(wait, 2))
            stop.wait(wait)
    return None
