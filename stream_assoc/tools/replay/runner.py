"""Sends a replay, and accounts for every message of it."""

import itertools
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.kafka.errors import DeliveryError
from stream_assoc.tools.replay.options import Due
from stream_assoc.tools.replay.plan import Step

MICRO_BATCH_MESSAGES: Final = 200
MICRO_BATCH_BYTES: Final = 16 * 1024 * 1024
MICRO_BATCH_SECONDS: Final = 5.0
"""After so much deliveries are confirmed, so that a broken replay ends early and a killed one has little in doubt."""


class Producer(Protocol):
    """What a replay needs of `~stream_assoc.messaging.kafka.plain_producer.PlainProducer`."""

    def send(self, messages: Sequence[OutputMessage]) -> None:
        """Send messages in order."""

    def flush(self) -> None:
        """Wait until each message sent is written, or raise `DeliveryError`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A message whose delivery was not confirmed, and why."""

    message: OutputMessage
    reason: str


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of a replay.

    Attributes
    ----------
    n_sent : `int`
        Messages handed to a producer.
    n_bytes : `int`
        Their values.
    seconds : `float`
        From the start to the last confirmation.
    greatest_delay_seconds : `float`
        How late the latest message was sent, against its pacing: with a delay
        that is not small the pace asked for was not kept.
    failures : `tuple` [`Failure`, ...]
        Messages that were not confirmed; empty when all went well.
    """

    n_sent: int
    n_bytes: int
    seconds: float
    greatest_delay_seconds: float
    failures: tuple[Failure, ...] = ()

    @property
    def n_confirmed(self) -> int:
        """Messages known to be written."""
        return self.n_sent - len(self.failures)

    @property
    def succeeded(self) -> bool:
        """Whether every message is known to be written."""
        return not self.failures


class Timer(NamedTuple):
    """The time: of durations, of the day (seconds since 1970 UTC), and how to let some pass."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    wait: Callable[[float], None] = time.sleep


class Observer:
    """Told how a replay goes on; by itself it does nothing."""

    def before(self, n_steps: int) -> None:
        """Take note that steps up to this number are about to be sent."""

    def after(self, n_steps: int) -> None:
        """Take note that steps up to this number are known to be written, or left out."""

    def message(self, number: int, step: Step, due: float) -> OutputMessage | None:
        """Return what to send for a step that is due at this time of the day, or `None` for nothing."""
        return None if step.is_dropped else step.message


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Steps that are sent and confirmed together: each with its number, due time and message."""

    begin: int
    dues: list[Due] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Number of the step after the last."""
        return self.begin + len(self.dues)


class Replayer:
    """Carries a plan out with one producer or several.

    What shares a key goes through one producer, so its order is kept.

    Parameters
    ----------
    producers : sequence of `Producer`
    observer : `Observer`, optional
    timer : `Timer`, optional
    """

    def __init__(
        self, producers: Sequence[Producer], observer: Observer | None = None, timer: Timer | None = None
    ) -> None:
        self._producers = producers
        self._observer = observer or Observer()
        self._timer = timer or Timer()

    def run(self, plan: Iterable[Due], first_step: int = 0) -> ReplayReport:
        """Send messages when they are due, and wait until each is confirmed.

        Parameters
        ----------
        plan : iterable of `Due`
            From `~stream_assoc.tools.replay.options`, without the steps before the first.
        first_step : `int`
            Number of its first step. What is due first is due now.

        Returns
        -------
        report : `ReplayReport`
            Sending stops at the first failure that comes to light; the report
            then holds the failures, and what was not sent is not counted.

        Raises
        ------
        FatalError, RetriableError
            What else a producer raises; deliveries since the last confirmation
            are then unknown.
        """
        begin = self._timer.clock()
        day = self._timer.now() - begin
        lanes = [_Lane(producer, self._observer, self._timer, day) for producer in self._producers]
        failures: tuple[Failure, ...] = ()
        origin: float | None = None
        with ThreadPoolExecutor(len(lanes)) as threads:
            for micro_batch in micro_batches(plan, first_step):
                # Reading the first messages of a file is no delay of theirs.
                origin = self._timer.clock() - micro_batch.dues[0].seconds if origin is None else origin
                self._observer.before(micro_batch.end)
                shares = _shares(micro_batch, len(lanes))
                if len(lanes) == 1:
                    failures = lanes[0].send(shares[0], origin)
                else:
                    told = threads.map(_Lane.send, lanes, shares, itertools.repeat(origin))
                    failures = tuple(itertools.chain.from_iterable(told))
                if failures:
                    break
                self._observer.after(micro_batch.end)
        return ReplayReport(
            sum(lane.n_sent for lane in lanes),
            sum(lane.n_bytes for lane in lanes),
            self._timer.clock() - begin,
            max(lane.delay for lane in lanes),
            failures,
        )


class _Lane:
    """One producer and what it has sent."""

    def __init__(self, producer: Producer, observer: Observer, timer: Timer, day: float) -> None:
        self._producer = producer
        self._observer = observer
        self._timer = timer
        self._day = day
        self.n_sent = self.n_bytes = 0
        self.delay = 0.0

    def send(self, share: Sequence[tuple[int, Due]], origin: float) -> tuple[Failure, ...]:
        """Send steps, each when it is due, and return what was not confirmed."""
        for number, due in share:
            moment = origin + due.seconds
            message = self._observer.message(number, due.step, self._day + moment)
            if message is None:
                continue
            ahead = moment - self._timer.clock()
            if ahead > 0.0:
                self._timer.wait(ahead)
            self.delay = max(self.delay, self._timer.clock() - moment if due.seconds else 0.0)
            self._producer.send([message])
            self.n_sent += 1
            self.n_bytes += len(message.value or b"")
        try:
            self._producer.flush()
        except DeliveryError as error:
            return tuple(Failure(message, str(error)) for message in error.failed)
        return ()


def micro_batches(plan: Iterable[Due], first_step: int = 0) -> Iterator[MicroBatch]:
    """Take a plan apart into what is confirmed together; memory is bounded by `MICRO_BATCH_BYTES` and one message."""
    micro_batch, n_bytes = MicroBatch(first_step), 0
    for due in plan:
        is_full = len(micro_batch.dues) >= MICRO_BATCH_MESSAGES or n_bytes >= MICRO_BATCH_BYTES
        if micro_batch.dues and (is_full or due.seconds - micro_batch.dues[0].seconds > MICRO_BATCH_SECONDS):
            yield micro_batch
            micro_batch, n_bytes = MicroBatch(micro_batch.end), 0
        micro_batch.dues.append(due)
        n_bytes += len(due.step.message.value or b"")
    if micro_batch.dues:
        yield micro_batch


def _shares(micro_batch: MicroBatch, n_lanes: int) -> list[list[tuple[int, Due]]]:
    """Divide a micro-batch among the producers, by key."""
    shares: list[list[tuple[int, Due]]] = [[] for _ in range(n_lanes)]
    for number, due in enumerate(micro_batch.dues, micro_batch.begin):
        key = due.step.message.key
        lane = number if key is None else zlib.crc32(key)
        shares[lane % n_lanes].append((number, due))
    return shares
