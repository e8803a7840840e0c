"""The Prometheus instruments of a loop that reads messages: its group, its lag, its services, its process."""

import platform
from collections.abc import Callable
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from stream_assoc import __version__

_RELEASES: Final = ("revoked", "lost")
_GAP_CAUSES: Final = ("deleted", "skipped", "truncated", "recreated")


class LoopInstruments:
    """What every daemon shows of its loop, in a registry of its own.

    Parameters
    ----------
    registry : `prometheus_client.CollectorRegistry`, optional
        Where the instruments are; a new one by default, so that several
        daemons in one process do not mix their numbers.

    Attributes
    ----------
    registry : `prometheus_client.CollectorRegistry`
        What is exposed.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        counter = partial(Counter, namespace="stream_assoc", registry=self.registry)
        gauge = partial(Gauge, namespace="stream_assoc", registry=self.registry)
        # The process's own: CPU time, memory, open files, start time.
        ProcessCollector(registry=self.registry)
        build = gauge("build_info", "Always 1; the labels say what runs.", ["version", "python_version"])
        build.labels(__version__, platform.python_version()).set(1)
        self._retries = counter(
            "retries",
            "Repeated attempts, by the service that was away: apdb, cache, kafka, schema_registry.",
            ["service"],
        )
        self._lag = gauge("lag_messages", "Messages not read yet.", ["topic", "partition"])
        self._lag_seconds = gauge(
            "lag_seconds", "Age of the oldest message read but not yet published; 0 when none waits."
        )
        self._joined = gauge("consumer_group_joined", "Whether the daemon is a settled member of its consumer group.")
        self._assigned = gauge("assigned_partitions", "Partitions of the input topic that this daemon reads.")
        self._rebalances = counter("rebalances", "Rebalances of the consumer group that this daemon took part in.")
        self._released = counter(
            "released_partitions",
            "Input partitions that went to another daemon: revoked, after what was in hand; lost, without notice.",
            ["how"],
        )
        self._gaps = counter(
            "input_gaps",
            "Input partitions that did not continue at the next offset, by cause: deleted, skipped, truncated, "
            "recreated.",
            ["cause"],
        )
        self._skipped = counter("skipped_offsets", "Offsets of the input that were gone or passed over unread.")
        self._restarts = counter("restarts", "Restarts of the daemon because a service was away.")
        self._turn = gauge("last_progress_timestamp_seconds", "When the main loop last made progress, Unix time.")
        self._up = gauge("service_up", "Whether a service answers: apdb, cache, kafka, schema_registry.", ["service"])
        # A rate cannot see the first step of a series that was not there before it.
        for how in _RELEASES:
            self._released.labels(how)
        for cause in _GAP_CAUSES:
            self._gaps.labels(cause)

    def count_retry(self, service: str) -> None:
        """Count a repeated attempt; ``service`` is ``apdb``, ``cache``, ``kafka`` or ``schema_registry``."""
        self._retries.labels(service).inc()

    def set_lag(self, topic: str, partition: int, messages: int) -> None:
        """Set how many messages of a partition are not read yet."""
        self._lag.labels(topic, str(partition)).set(messages)

    def forget_lag(self, topic: str, partition: int) -> None:
        """Show no lag for a partition that another daemon reads now."""
        self._lag.remove(topic, str(partition))

    def show_waiting(self, seconds: Callable[[], float]) -> None:
        """Show, at every scrape, what this returns as the age of the oldest unpublished message."""
        self._lag_seconds.set_function(seconds)

    def show_up(self, service: str, is_up: Callable[[], bool]) -> None:
        """Show, at every scrape, what this returns as whether a service answers."""
        self._up.labels(service).set_function(lambda: float(is_up()))

    def set_membership(self, *, joined: bool, n_partitions: int, n_rebalances: int) -> None:
        """Set the daemon's place in its group; count rebalances that came since the last time."""
        self._joined.set(joined)
        self._assigned.set(n_partitions)
        self._rebalances.inc(n_rebalances)

    def count_released(self, how: str, n_partitions: int) -> None:
        """Count partitions that were ``revoked`` or ``lost``."""
        self._released.labels(how).inc(n_partitions)

    def count_gap(self, cause: str, n_skipped: int) -> None:
        """Count a gap of the input, and the offsets that will never be read."""
        self._gaps.labels(cause).inc()
        self._skipped.inc(n_skipped)

    def count_restart(self) -> None:
        """Count a restart of the daemon."""
        self._restarts.inc()

    def note_progress(self) -> None:
        """Note that the main loop made progress."""
        self._turn.set_to_current_time()
