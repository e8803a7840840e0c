"""Sends a replay, and accounts for every message of it."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from stream_assoc.replay.pacing import Due
from stream_assoc.stream.kafka_errors import DeliveryError
from stream_assoc.stream.messages import OutputMessage

CONFIRM_EVERY: Final = 5_000
"""Messages after which deliveries are confirmed, so that a broken replay ends early."""


class Producer(Protocol):
    """What a replay needs of `~stream_assoc.stream.kafka_plain_producer.PlainProducer`."""

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
        Messages handed to the producer.
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


def _unheard(n_sent: int) -> None:
    """Tell nobody."""


def replay(
    plan: Iterable[Due],
    producer: Producer,
    progress: Callable[[int], None] = _unheard,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> ReplayReport:
    """Send messages when they are due, and wait until each is confirmed.

    Parameters
    ----------
    plan : iterable of `Due`
        From `~stream_assoc.replay.pacing`.
    producer : `Producer`
    progress : callable, optional
        Told the number of messages sent, after each.
    clock, wait : callable, optional
        The time in seconds, and how to let some pass.

    Returns
    -------
    report : `ReplayReport`
        Sending stops at the first failure that comes to light; the report then
        holds the failures, and what was not sent is not counted.

    Raises
    ------
    FatalError, RetriableError
        What else the producer raises; deliveries since the last confirmation
        are then unknown.
    """
    begin = clock()
    n_sent = n_bytes = 0
    delay = 0.0
    failures: tuple[Failure, ...] = ()
    for due, message in plan:
        ahead = begin + due - clock()
        if ahead > 0.0:
            wait(ahead)
        delay = max(delay, clock() - begin - due if due else 0.0)
        producer.send([message])
        n_sent += 1
        n_bytes += len(message.value or b"")
        progress(n_sent)
        if n_sent % CONFIRM_EVERY == 0 and (failures := _unconfirmed(producer)):
            break
    failures = failures or _unconfirmed(producer)
    return ReplayReport(n_sent, n_bytes, clock() - begin, delay, failures)


def _unconfirmed(producer: Producer) -> tuple[Failure, ...]:
    try:
        producer.flush()
    except DeliveryError as error:
        return tuple(Failure(message, str(error)) for message in error.failed)
    return ()
