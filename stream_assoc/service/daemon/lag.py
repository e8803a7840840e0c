"""How far behind the daemon is, in messages and in seconds."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import RetriableError
from stream_assoc.service.loop_instruments import LoopInstruments

log = structlog.get_logger(__name__)

REPORT_SECONDS: Final = 10.0
"""Asking costs a round trip a partition, and Prometheus scrapes every 15 s or so."""


class MeasuresLag(Protocol):
    """A source that knows its lag."""

    def lag(self) -> dict[tuple[str, int], int]:
        """Return the number of unread messages of each owned (topic, partition)."""


class LagReporter:
    """Keeps the lag gauges up to date.

    The lag in seconds is the age of the oldest message of the last poll. It
    grows at every scrape while these messages are being processed, so that it
    also shows a daemon that waits for a service.

    Parameters
    ----------
    source : `MeasuresLag`
        Asked at most every `REPORT_SECONDS`, from the thread that polls it.
    instruments : `LoopInstruments`
        Show the lag of every owned partition.
    monotonic, unix_time : callable, optional
        Clocks in seconds; the second is that of Kafka's timestamps.
    """

    def __init__(
        self,
        source: MeasuresLag,
        instruments: LoopInstruments,
        monotonic: Callable[[], float] = time.monotonic,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._instruments = instruments
        self._monotonic = monotonic
        self._due = monotonic()
        self._unix_time = unix_time
        self._oldest_ms: int | None = None
        self._shown: set[tuple[str, int]] = set()
        instruments.show_waiting(self.waiting_seconds)

    def __call__(self, messages: Sequence[InputMessage]) -> None:
        """Note what a poll brought, and report the lag in messages if it is time to."""
        # Producers may leave the timestamp unset.
        self._oldest_ms = min((one.timestamp_ms for one in messages if one.timestamp_ms >= 0), default=None)
        if self._monotonic() >= self._due:
            self._report()

    def waiting_seconds(self) -> float:
        """Return the age of the oldest message that the last poll brought, 0 if it brought none."""
        return 0.0 if self._oldest_ms is None else max(0.0, self._unix_time() - self._oldest_ms / 1000)

    def _report(self) -> None:
        next_due = self._monotonic() + REPORT_SECONDS
        try:
            lags = self._source.lag()
        except RetriableError as error:
            self._due = next_due
            log.warning("lag unknown", error=str(error))
            return
        # Nothing is known before the first fetch: it is asked again soon.
        self._due = next_due if lags else self._due
        for (topic, partition), messages in lags.items():
            self._instruments.set_lag(topic, partition, messages)
        for topic, partition in self._shown - lags.keys():
            self._instruments.forget_lag(topic, partition)
        self._shown = set(lags)
