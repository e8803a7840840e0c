"""Retrying while a service is away, without losing the membership of the group."""

import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.marks import Standing
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.exceptions import MicroBatchAbandonedError
from stream_assoc.service.ports import MessageSource

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between tries.

    Attributes
    ----------
    initial_seconds, max_seconds : `float`
        The first wait, and the longest; each wait is twice the one before.
    jitter : `float`
        Random share of each wait, 0 to 1, so that several daemons do not come
        back to a recovering server in step.
    """

    initial_seconds: float = 0.5
    max_seconds: float = 30.0
    jitter: float = 0.2

    def wait_seconds(self, failures: int, fraction: float) -> float:
        """Return the wait after so many failures in a row, for a random ``fraction`` in [0, 1)."""
        wait = min(self.max_seconds, self.initial_seconds * 2.0 ** (failures - 1))
        return wait * (1.0 - self.jitter * fraction)


class RetryLoop:
    """Repeats an action until it succeeds, keeping the group membership alive meanwhile.

    Kafka takes a member that does not poll within ``max.poll.interval.ms`` for
    dead. So the wait between two tries is spent polling paused partitions.

    Parameters
    ----------
    source : `MessageSource`
        What is paused and polled.
    backoff : `Backoff`
        How long to wait.
    stop : `StopRequest`
        Once it is set, an action without a micro-batch is given up; one with a
        micro-batch is given up when the deadline has passed.
    health : `Health`
        Receives every try, every failure and every success.
    membership : `MembershipKeeper`
        Stops holding revocations back at each failure, before the source is asked for anything.

    Attributes
    ----------
    membership : `MembershipKeeper`
        The same.
    """

    def __init__(
        self,
        source: MessageSource,
        backoff: Backoff,
        stop: StopRequest,
        health: Health,
        membership: MembershipKeeper,
    ) -> None:
        self._source = source
        self._backoff = backoff
        self._stop = stop
        self._health = health
        self._random = random.Random()
        self._pause = threading.Event()
        self.membership = membership

    def until_done(self, action: Callable[[], Result], micro_batch: Sequence[InputPosition]) -> Result:
        """Return what ``action`` returns once it does.

        Raises
        ------
        MicroBatchAbandonedError
            If a position in ``micro_batch`` was taken from this daemon, or the
            daemon has to stop, before the action succeeded.
        """
        failures = 0
        with contextlib.ExitStack() as pause:
            while True:
                self._must_own(micro_batch)
                self._health.note_progress()
                try:
                    result = action()
                except RetriableError as error:
                    failures += 1
                    self._health.failed(error)
                    self.membership.let_go()
                    if failures == 1:
                        self._source.pause()
                        pause.callback(self._source.resume)
                    wait = self._backoff.wait_seconds(failures, self._random.random())
                    log.warning("retrying", error=str(error), failures=failures, wait_seconds=round(wait, 2))
                    self._wait(wait, micro_batch)
                else:
                    if failures:
                        log.info("recovered", failures=failures)
                    if failures or micro_batch:
                        self._health.recovered()
                    return result

    def wait_for_others(self, seconds: float, micro_batch: Sequence[InputPosition]) -> None:
        """Wait while only another daemon can make progress.

        Raises
        ------
        MicroBatchAbandonedError
            If a position in ``micro_batch`` was taken from this daemon, or the time to stop has passed.
        """
        self._must_own(micro_batch)
        self._health.note_progress()
        if self._stop.is_overdue():
            raise MicroBatchAbandonedError("the daemon is stopping before others have published what comes first")
        self._pause.wait(seconds)

    def read_again(self, positions: Sequence[InputPosition]) -> None:
        """Go back to the messages that are not done; a commit that was not answered may have counted."""
        ours = [position for position in positions if self._source.owns(position)]
        standings = self.until_done(lambda: self._source.standings({(one.topic, one.partition) for one in ours}), [])
        nowhere = Standing(0)
        self._source.rewind(
            [one for one in ours if one.offset >= standings.get((one.topic, one.partition), nowhere).offset]
        )

    def go_on_without(self, error: RetriableError) -> None:
        """Note the failure of something that need not be done."""
        self._health.failed(error, is_tried_again=False)
        log.warning("going on without", error=str(error))

    def _must_own(self, micro_batch: Sequence[InputPosition]) -> None:
        if lost := [position for position in micro_batch if not self._source.owns(position)]:
            raise MicroBatchAbandonedError(
                f"{len(lost)} message(s) of the micro-batch belong to another daemon now, "
                f"the first of them from {lost[0].topic}[{lost[0].partition}]"
            )

    def _wait(self, seconds: float, micro_batch: Sequence[InputPosition]) -> None:
        self._source.idle(seconds)
        if self._stop.is_overdue() or (self._stop.is_set() and not micro_batch):
            raise MicroBatchAbandonedError("the daemon is stopping before a service came back")
