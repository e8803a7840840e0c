"""The loop that makes alerts: read that batches are committed, make their alerts, publish, and only then read on.

Alerts and the offsets of the messages they were made for are published in one
Kafka transaction. A process that dies before it leaves nothing, and whoever
reads the messages again makes the same alerts.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, PlacedMessage
from stream_assoc.failpoints import failpoint
from stream_assoc.service.alerts.instruments import AlertInstruments
from stream_assoc.service.alerts.maker import AlertMaker
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


class AlertDaemon:
    """Publishes the alerts of committed batches until asked to stop; each exactly once.

    Parameters
    ----------
    ends : `AlertEnds`
    maker : `AlertMaker`
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
        maker: AlertMaker,
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
        alerts: list[PlacedMessage] = []
        n_done, n_bytes = 0, 0
        while n_done < len(messages) and n_bytes < self._limits.bytes:
            made = self._made(messages[n_done], positions)
            alerts += made
            n_bytes += sum(len(alert.value) for alert in made)
            n_done += 1
        failpoint("before-alerts")
        self._retry_loop.until_done(lambda: self._publisher.publish(alerts, positions[:n_done]), positions)
        failpoint("after-alerts")
        self._instruments.count_alerts(len(alerts), n_bytes)
        log.info("alerts", batches=n_done, alerts=len(alerts))
        return positions[n_done:]

    def _made(self, message: InputMessage, positions: Sequence[InputPosition]) -> list[PlacedMessage]:
        return self._retry_loop.until_done(lambda: self._maker.make(message), positions)
