"""How far behind the daemon is, told now and then."""

import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from stream_assoc.exceptions import RetriableError
from stream_assoc.metrics.instruments import Instruments

log = structlog.get_logger(__name__)

REPORT_SECONDS: Final = 10.0
"""Asking costs a round trip a partition, and Prometheus scrapes every 15 s or so."""


class MeasuresLag(Protocol):
    """What can tell how far behind it is."""

    def lag(self) -> dict[tuple[str, int], int]:
        """Return the number of unread messages of each owned (topic, partition)."""


class LagReporter:
    """Keeps the lag gauges up to date.

    Parameters
    ----------
    source : `MeasuresLag`
        Asked at most every `REPORT_SECONDS`, from the thread that polls it.
    instruments : `Instruments`
        Told of every owned partition, and to forget those taken away.
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(
        self, source: MeasuresLag, instruments: Instruments, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._instruments = instruments
        self._monotonic = monotonic
        self._due = monotonic()
        self._shown: set[tuple[str, int]] = set()

    def __call__(self) -> None:
        """Report, if it is time to."""
        if self._monotonic() < self._due:
            return
        self._due = self._monotonic() + REPORT_SECONDS
        try:
            lags = self._source.lag()
        except RetriableError as error:
            log.warning("lag unknown", error=str(error))
            return
        for (topic, partition), messages in lags.items():
            self._instruments.set_lag(topic, partition, messages)
        for topic, partition in self._shown - lags.keys():
            self._instruments.forget_lag(topic, partition)
        self._shown = set(lags)
