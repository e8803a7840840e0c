"""The loop that makes alerts: read that batches are committed, make their alerts, publish, and only then read on.

Alerts and the offsets of the messages they were made for are published in one
Kafka transaction. A process that dies before it leaves nothing, and whoever
reads the messages again makes the same alerts.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.failpoints import failpoint
from stream_assoc.service.alerts.instruments import AlertInstruments
from stream_assoc.service.alerts.maker import MadeAlerts
from stream_assoc.service.alerts.ports import AlertEnds
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import RetryLoop
from stream_assoc.service.exceptions import MicroBatchAbandonedError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """How much is published in one transaction.

    Attributes
    ----------
    messages : `int`
        Batches.
    bytes : `int`
        Of their alerts, before compression. The batch that goes beyond is still in.
    poll_seconds : `float`
        How long to wait for the first message.
    """

    messages: int = 64
    bytes: int = 64 * 1024 * 1024
    poll_seconds: float = 1.0


class MakesAlerts(Protocol):
    """Makes the alerts of a message; `~stream_assoc.service.alerts.maker.AlertMaker` does."""

    def make(self, message: InputMessage) -> MadeAlerts:
        """Return what becomes of a message; raise a `RetriableError` to be asked again."""


class AlertDaemon:
    """Publishes the alerts of committed batches until asked to stop; each exactly once.

    Parameters
    ----------
    ends : `AlertEnds`
    maker : `MakesAlerts`
    retry_loop : `RetryLoop`
        Retries while a service is away, and keeps the membership of the group.
    limits : `AlertLimits`
    instruments : `AlertInstruments`
    on_poll : callable, optional
        Called after every poll with the messages it brought.
    """

    def __init__(
        self,
        ends: AlertEnds,
        maker: MakesAlerts,
        retry_loop: RetryLoop,
        limits: AlertLimits,
        instruments: AlertInstruments,
        on_poll: Callable[[Sequence[InputMessage]], None] = lambda messages: None,
    ) -> None:
        self._source = ends.source
        self._publisher = ends.publisher
        self._maker = maker
        self._retry_loop = retry_loop
        self._limits = limits
        self._instruments = instruments
        self._on_poll = on_poll

    def run(self, stop: StopRequest) -> None:
        """Make alerts until asked to stop; then finish those in hand.

        Raises
        ------
        FatalError
            If nothing can be published until someone intervenes.
        """
        with contextlib.suppress(MicroBatchAbandonedError):
            while not stop.is_set():
                self.process_next()

    def process_next(self) -> None:
        """Poll once, and publish the alerts of what it brings; if that is abandoned, read again from there on."""
        messages = self._retry_loop.until_done(
            lambda: self._source.poll(self._limits.messages, self._limits.poll_seconds), []
        )
        self._on_poll(messages)
        left = [message.position for message in messages]
        try:
            with self._retry_loop.membership.at_work(self._source):
                while left:
                    left = self._publish_some(messages[-len(left) :])
        except MicroBatchAbandonedError as error:
            log.warning("alerts abandoned", error=str(error))
            self._retry_loop.read_again(left)

    def _publish_some(self, messages: Sequence[InputMessage]) -> list[InputPosition]:
        """Publish the alerts of as many messages as fit into a transaction; return the positions of the others."""
        positions = [message.position for message in messages]
        made: list[MadeAlerts] = []
        while len(made) < len(messages) and sum(one.n_bytes for one in made) < self._limits.bytes:
            made.append(self._made(messages[len(made)], positions))
        alerts, consumed = [alert for one in made for alert in one.messages], positions[: len(made)]
        failpoint("before-alerts")
        self._retry_loop.until_done(lambda: self._publisher.publish(alerts, consumed), positions)
        failpoint("after-alerts")
        for one in made:
            self._instruments.count(one)
        log.info("alerts", batches=len(made), alerts=len(alerts))
        return positions[len(made) :]

    def _made(self, message: InputMessage, positions: Sequence[InputPosition]) -> MadeAlerts:
        return self._retry_loop.until_done(lambda: self._maker.make(message), positions)
