"""The Prometheus instruments of a daemon."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.service.loop_instruments import LoopInstruments
from stream_assoc.service.warming.instruments import WarmingInstruments

_STAGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Rubin allows 60 s from shutter to alert; a replay may be years late.
_LATENCY_BUCKETS: Final = (5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0, 3600.0, 86400.0)
_SOURCES_BUCKETS: Final = (0.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 100_000.0)
_BYTES_BUCKETS: Final = (1e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8)
_MICRO_BATCH_BUCKETS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_SECONDS_PER_DAY: Final = 86400.0

_OUTCOMES: Final = ("processed", "redelivered", "dead_letter")
_WATCHED_REASONS: Final = ("quarantine", "conflicting_batch")
"""Reasons of dead letters that alert rules ask for by name."""


class _BatchResults:
    """The instruments of what association and statistics made of each batch."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace="stream_assoc", registry=registry)
        gauge = partial(Gauge, namespace="stream_assoc", registry=registry)
        histogram = partial(Histogram, namespace="stream_assoc", registry=registry)
        self._sources = counter(
            "dia_sources",
            "DIASources by outcome: associated, solar_system, new, marginal, dropped; withdrawn.",
            ["outcome"],
        )
        self._objects = counter(
            "dia_objects",
            "DIAObjects by what a batch did: new, updated, closed, or unassociated, which gained no source.",
            ["outcome"],
        )
        self._ambiguous = counter("ambiguous_dia_sources", "Matched DIASources with more than one candidate.")
        self._forced = counter("forced_sources", "Fluxes measured at DIAObjects on the images of batches.")
        self._image_failures = counter(
            "forced_photometry_failures", "Batches whose images could not be measured, by reason.", ["reason"]
        )
        self._stage = histogram("stage_seconds", "Time of each stage of a batch.", ["stage"], buckets=_STAGE_BUCKETS)
        self._latency = histogram(
            "latency_seconds", "From the middle of the exposure to the processing time.", buckets=_LATENCY_BUCKETS
        )
        self._batch_sources = histogram("batch_dia_sources", "DIASources of a batch.", buckets=_SOURCES_BUCKETS)
        self._last_processed = gauge(
            "last_processed_timestamp_seconds", "When a batch was last processed, Unix time; 0 before the first."
        )
        self._single = gauge("unassociated_dia_objects", "DIAObjects of the whole APDB with exactly one source.")
        self._midpoint = gauge("last_midpoint_mjd_tai", "Midpoint of the visit processed last, MJD TAI.")
        self._offset = gauge("astrometric_offset_arcsec", "Median source - object of the last batch.", ["axis"])
        self._separation = gauge(
            "rms_separation_arcsec", "Root mean square separation of matched sources and objects of the last batch."
        )
        self._fraction = gauge(
            "frac_updated_dia_objects", "Share of the known DIAObjects of the last batch that were detected again."
        )
        self._margin = gauge(
            "runner_up_margin",
            "Median of the runner-up's score minus the match's, of the last ambiguous batch.",
        )
        self._solar_system = counter("solar_system_objects", "Solar-system objects predicted within the batches.")
        self._dropped_predictions = counter(
            "dropped_solar_system_objects",
            "Predicted solar-system objects set aside: no positive ssObjectId, no position, or listed twice.",
        )

    def observe(self, metrics: AssociationMetrics) -> None:
        """Count the results of a batch."""
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
        self._solar_system.inc(metrics.numTotalSolarSystemObjects)
        self._dropped_predictions.inc(metrics.numDroppedSsObjects)
        self._batch_sources.observe(metrics.numDiaSources)
        for stage, seconds in metrics.stageSeconds.items():
            self._stage.labels(stage).observe(seconds)
        self._latency.observe((metrics.timeProcessedMjdTai - metrics.midpointMjdTai) * _SECONDS_PER_DAY)
        self._single.set(metrics.totalUnassociatedDiaObjects)
        self._midpoint.set(metrics.midpointMjdTai)
        self._last_processed.set(time.time())
        # What is undefined for this batch keeps the value of the last one that defined it.
        for gauge, level in (
            (self._offset.labels("ra"), metrics.medianRaOffset),
            (self._offset.labels("dec"), metrics.medianDecOffset),
            (self._separation, metrics.rmsSeparation),
            (self._fraction, metrics.fracUpdatedDiaObjects),
            (self._margin, metrics.medianMargin),
        ):
            if level is not None:
                gauge.set(level)


class Instruments(LoopInstruments):
    """The instruments of a daemon that associates, in a registry of their own.

    Parameters
    ----------
    registry : `prometheus_client.CollectorRegistry`, optional
        See `LoopInstruments`.

    Attributes
    ----------
    warming : `WarmingInstruments`
        Those of the warming beside the daemon.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        counter = partial(Counter, namespace="stream_assoc", registry=self.registry)
        histogram = partial(Histogram, namespace="stream_assoc", registry=self.registry)
        self._results = _BatchResults(self.registry)
        self.warming = WarmingInstruments(self.registry)
        self._batches = counter("batches", "Messages by outcome: processed, redelivered or dead_letter.", ["outcome"])
        self._dead_letters = counter("dead_letters", "Messages that can never be processed, by reason.", ["reason"])
        self._decided_again = counter(
            "decided_again",
            "Times that batches were decided again, because another program had changed their sky in between.",
        )
        self._recovered = counter(
            "recovered_outputs",
            "Batches found in the outbox: their outputs were published now, or proven to be published already.",
            ["how"],
        )
        for how in ("published", "proven"):
            self._recovered.labels(how)
        self._cache = counter(
            "cache_reads",
            "Reads of the cache by kind, tile or state, and result, hit or miss.",
            ["kind", "result"],
        )
        self._micro_batch = histogram(
            "micro_batch_step_seconds",
            "Time of each step that the messages of a micro-batch share.",
            ["step"],
            buckets=_STAGE_BUCKETS,
        )
        self._message_bytes = histogram("message_bytes", "Encoded size of a message.", buckets=_BYTES_BUCKETS)
        self._micro_batch_messages = histogram(
            "micro_batch_messages", "Messages that shared a transaction.", buckets=_MICRO_BATCH_BUCKETS
        )
        # A rate cannot see the first step of a series that was not there before it.
        for outcome in _OUTCOMES:
            self._batches.labels(outcome)
        for reason in _WATCHED_REASONS:
            self._dead_letters.labels(reason)

    def observe(self, metrics: AssociationMetrics) -> None:
        """Count a batch that was processed."""
        self._batches.labels("processed").inc()
        self._results.observe(metrics)

    def observe_micro_batch(self, seconds: Mapping[str, float]) -> None:
        """Observe each step that the messages of a micro-batch share, seconds."""
        for step, taken in seconds.items():
            self._micro_batch.labels(step).observe(taken)

    def observe_messages(self, sizes: Sequence[int]) -> None:
        """Observe the messages of a micro-batch by their sizes in bytes."""
        self._micro_batch_messages.observe(len(sizes))
        for size in sizes:
            self._message_bytes.observe(size)

    def count_redelivery(self) -> None:
        """Count a batch that had been processed before."""
        self._batches.labels("redelivered").inc()

    def count_decided_again(self) -> None:
        """Count that another program has changed the sky of batches while they were decided."""
        self._decided_again.inc()

    def count_dead_letter(self, reason: str) -> None:
        """Count a message that can never be processed."""
        self._batches.labels("dead_letter").inc()
        self._dead_letters.labels(reason).inc()

    def count_recovered_outputs(self, how: str, count: int) -> None:
        """Count batches of the outbox whose outputs were ``published`` now, or ``proven`` to be already."""
        self._recovered.labels(how).inc(count)

    def count_cache_reads(self, kind: str, hits: int, misses: int) -> None:
        """Count reads of the cache; ``kind`` is ``tile`` or ``state``."""
        self._cache.labels(kind, "hit").inc(hits)
        self._cache.labels(kind, "miss").inc(misses)
