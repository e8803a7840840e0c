"""What Prometheus sees of a daemon."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from stream_assoc.metrics.exceptions import MetricsPortError
from stream_assoc.metrics.record import AssociationMetrics

_STAGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Rubin allows 60 s from shutter to alert; a replay may be years late.
_LATENCY_BUCKETS: Final = (5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0, 3600.0, 86400.0)
_SECONDS_PER_DAY: Final = 86400.0


class Instruments:
    """The instruments of one daemon, in a registry of their own.

    Parameters
    ----------
    registry : `prometheus_client.CollectorRegistry`, optional
        Where the instruments are; a new one by default, so that several
        daemons in one process do not mix their numbers.

    Attributes
    ----------
    registry : `prometheus_client.CollectorRegistry`
        What `serve` exposes.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        counter = partial(Counter, namespace="stream_assoc", registry=self.registry)
        gauge = partial(Gauge, namespace="stream_assoc", registry=self.registry)
        histogram = partial(Histogram, namespace="stream_assoc", registry=self.registry)
        self._batches = counter("batches", "Messages by what became of them.", ["outcome"])
        self._sources = counter("dia_sources", "DIASources of batches by what became of them.", ["outcome"])
        self._objects = counter("dia_objects", "DIAObjects of batches by what became of them.", ["outcome"])
        self._ambiguous = counter("ambiguous_dia_sources", "Matched DIASources with more than one candidate.")
        self._forced = counter("forced_sources", "Fluxes measured at DIAObjects on the images of batches.")
        self._image_failures = counter(
            "forced_photometry_failures", "Batches whose images could not be measured on, by reason.", ["reason"]
        )
        self._dead_letters = counter("dead_letters", "Messages that can never be processed, by reason.", ["reason"])
        self._retries = counter("retries", "Repeated attempts, by the service that was away.", ["service"])
        self._cache = counter(
            "cache_reads", "What was read of the cache, and whether it was there.", ["kind", "result"]
        )
        self._stage = histogram("stage_seconds", "Time of each stage of a batch.", ["stage"], buckets=_STAGE_BUCKETS)
        self._hand = histogram(
            "hand_step_seconds",
            "Time of each step that the messages of a hand share.",
            ["step"],
            buckets=_STAGE_BUCKETS,
        )
        self._latency = histogram(
            "latency_seconds", "From the middle of the exposure to the processing time.", buckets=_LATENCY_BUCKETS
        )
        self._lag = gauge("lag_messages", "Messages not read yet.", ["topic", "partition"])
        self._up = gauge("service_up", "Whether a service answers.", ["service"])
        self._single = gauge("unassociated_dia_objects", "DIAObjects of the whole APDB with exactly one source.")
        self._midpoint = gauge("last_midpoint_mjd_tai", "Midpoint of the visit processed last, MJD TAI.")
        self._offset = gauge("astrometric_offset_arcsec", "Median source - object of the last batch.", ["axis"])

    def observe(self, metrics: AssociationMetrics) -> None:
        """Count a batch that was processed."""
        self._batches.labels("processed").inc()
        for outcome, number in (
            ("associated", metrics.numAssociatedDiaSources),
            ("solar_system", metrics.numAssociatedSsObjects),
            ("new", metrics.numNewDiaObjects),
            ("marginal", metrics.numMarginalDiaSources),
            ("dropped", metrics.numDroppedDiaSources),
            ("withdrawn", metrics.numWithdrawnDiaSources),
        ):
            self._sources.labels(outcome).inc(number)
        for outcome, number in (
            ("new", metrics.numNewDiaObjects),
            ("updated", metrics.numUpdatedDiaObjects),
            ("unassociated", metrics.numUnassociatedDiaObjects),
            ("closed", metrics.numClosedDiaObjects),
        ):
            self._objects.labels(outcome).inc(number)
        self._ambiguous.inc(metrics.numAmbiguousDiaSources)
        self._forced.inc(metrics.numForcedSources)
        if metrics.forcedPhotometryError is not None:
            self._image_failures.labels(metrics.forcedPhotometryError).inc()
        for stage, seconds in metrics.stageSeconds.items():
            self._stage.labels(stage).observe(seconds)
        self._latency.observe((metrics.timeProcessedMjdTai - metrics.midpointMjdTai) * _SECONDS_PER_DAY)
        self._single.set(metrics.totalUnassociatedDiaObjects)
        self._midpoint.set(metrics.midpointMjdTai)
        for axis, offset in (("ra", metrics.medianRaOffset), ("dec", metrics.medianDecOffset)):
            if offset is not None:
                self._offset.labels(axis).set(offset)

    def observe_hand(self, seconds: Mapping[str, float]) -> None:
        """Observe what each step took that some messages share, seconds."""
        for step, taken in seconds.items():
            self._hand.labels(step).observe(taken)

    def count_redelivery(self) -> None:
        """Count a batch that had been processed before."""
        self._batches.labels("redelivered").inc()

    def count_dead_letter(self, reason: str) -> None:
        """Count a message that can never be processed."""
        self._batches.labels("dead_letter").inc()
        self._dead_letters.labels(reason).inc()

    def count_retry(self, service: str) -> None:
        """Count a repeated attempt; ``service`` is ``apdb``, ``cache``, ``kafka`` or ``schema_registry``."""
        self._retries.labels(service).inc()

    def count_cache_reads(self, kind: str, hits: int, misses: int) -> None:
        """Count what a batch read of the cache; ``kind`` is ``tile`` or ``state``."""
        self._cache.labels(kind, "hit").inc(hits)
        self._cache.labels(kind, "miss").inc(misses)

    def set_lag(self, topic: str, partition: int, messages: int) -> None:
        """Set how many messages of a partition are not read yet."""
        self._lag.labels(topic, str(partition)).set(messages)

    def forget_lag(self, topic: str, partition: int) -> None:
        """Show no lag for a partition that another daemon reads now."""
        self._lag.remove(topic, str(partition))

    def set_up(self, service: str, *, up: bool) -> None:
        """Set whether a service answers."""
        self._up.labels(service).set(up)


class MetricsServer:
    """Serves instruments at ``/metrics`` from a thread of its own, until closed.

    Parameters
    ----------
    instruments : `Instruments`
        What is served.
    port : `int`
        0 picks a free one.
    host : `str`, optional
        Address to listen on.

    Attributes
    ----------
    port : `int`
        The port it listens on.

    Raises
    ------
    MetricsPortError
        If the port is taken, or the host has no such address.
    """

    def __init__(self, instruments: Instruments, port: int, host: str = "127.0.0.1") -> None:
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=instruments.registry)
        except OSError as error:
            raise MetricsPortError(
                f"metrics cannot be served on {host}:{port}: {error.strerror}; choose another "
                "metrics.prometheus_port (0 for any free one) or metrics.prometheus_host"
            ) from error
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(instruments: Instruments, port: int, host: str = "127.0.0.1") -> MetricsServer:
    """Begin to serve instruments at ``http://host:port/metrics``; see `MetricsServer`."""
    return MetricsServer(instruments, port, host)
