"""The Prometheus instruments of a daemon that makes alerts."""

import time
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from stream_assoc.core.model.times import mjd_tai_of_unix
from stream_assoc.service.alerts.maker import MadeAlerts
from stream_assoc.service.loop_instruments import LoopInstruments

OUTCOMES: Final = ("published", "superseded", "not_stored", "too_large", "undecodable")

_SECONDS_PER_DAY: Final = 86400.0
_SECONDS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LATENCY_BUCKETS: Final = (5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0, 3600.0, 86400.0)


class AlertInstruments(LoopInstruments):
    """The instruments of one daemon that makes alerts; see `LoopInstruments`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        counter = partial(Counter, namespace="stream_assoc", registry=self.registry)
        histogram = partial(Histogram, namespace="stream_assoc", registry=self.registry)
        self._alerts = counter("alerts", "Alerts that were published.")
        self._bytes = counter("alert_bytes", "Their bytes, before compression.")
        self._batches = counter(
            "alert_batches",
            "Committed batches by what became of their alerts: published; none, because a later processing has taken "
            "the batch's place (superseded), the APDB does not hold it (not_stored), it has too many sources "
            "(too_large), or the message cannot be read (undecodable).",
            ["outcome"],
        )
        self._missing = counter(
            "missing_stamps", "Stamps that alerts lack although the batch names the image.", ["kind", "reason"]
        )
        self._seconds = histogram(
            "alert_batch_seconds", "Time to make the alerts of a batch.", buckets=_SECONDS_BUCKETS
        )
        self._latency = histogram(
            "alert_latency_seconds", "From the middle of the exposure to the alerts.", buckets=_LATENCY_BUCKETS
        )
        for outcome in OUTCOMES:
            self._batches.labels(outcome)

    def count(self, made: MadeAlerts) -> None:
        """Count what became of a message, once it is published."""
        self._batches.labels(made.outcome).inc()
        self._alerts.inc(len(made.messages))
        self._bytes.inc(made.n_bytes)
        for one in made.missing:
            self._missing.labels(one.kind, one.reason).inc(one.n_stamps)
        if made.messages:
            self._seconds.observe(made.seconds)
            self._latency.observe(_SECONDS_PER_DAY * (mjd_tai_of_unix(time.time()) - made.midpointMjdTai))
