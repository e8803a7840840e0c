"""The Prometheus instruments of warming."""

from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from stream_assoc.messaging.avro import next_visits
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.service.warming import agenda

_SECONDS_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
_LEAD_BUCKETS: Final = (-60.0, -30.0, -20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0)
_REASONS: Final = (*next_visits.REASONS, *agenda.REASONS)


class WarmingInstruments:
    """The instruments of warming; an `~stream_assoc.service.warming.follower.Observer`.

    Parameters
    ----------
    registry : `prometheus_client.CollectorRegistry`, optional
        Where they are; a new one by default.

    Attributes
    ----------
    registry : `prometheus_client.CollectorRegistry`
        The same.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        counter = partial(Counter, namespace="stream_assoc", registry=self.registry)
        histogram = partial(Histogram, namespace="stream_assoc", registry=self.registry)
        self._announced = counter("announced_visits", "Announced visits that could be warmed.")
        self._dropped = counter(
            "dropped_announcements",
            "Announcements not warmed, or not to the end, by reason: not_on_sky; coordinates, position, start, "
            "undecodable, which are faults; past, superseded, repeated, crowded, instrument.",
            ["reason"],
        )
        self._checked = counter(
            "warming_checked",
            "Tiles and states that were looked for in the cache ahead of announced visits.",
            ["kind"],
        )
        self._written = counter(
            "warming_written", "Those of them that the cache lacked, or held in an older version.", ["kind"]
        )
        self._reads = counter(
            "announced_cache_reads",
            "Reads of the cache that were of announced sky, by kind, tile or state, and result, hit or miss.",
            ["kind", "result"],
        )
        self._seconds = histogram(
            "warming_seconds", "Time to warm the sky of a visit, pauses left out.", buckets=_SECONDS_BUCKETS
        )
        self._lead = histogram(
            "warming_lead_seconds",
            "From when a visit was warm to when it begins; negative: too late.",
            buckets=_LEAD_BUCKETS,
        )
        for reason in _REASONS:
            self._dropped.labels(reason)
        for kind in ("tile", "state"):
            self._checked.labels(kind)
            self._written.labels(kind)
            for result in ("hit", "miss"):
                self._reads.labels(kind, result)

    def announced(self) -> None:
        """See `Observer.announced`."""
        self._announced.inc()

    def dropped(self, reason: str) -> None:
        """See `Observer.dropped`."""
        self._dropped.labels(reason).inc()

    def warmed(self, portion: Warmed) -> None:
        """See `Observer.warmed`."""
        self._checked.labels("tile").inc(portion.tiles)
        self._checked.labels("state").inc(portion.states)
        self._written.labels("tile").inc(portion.written_tiles)
        self._written.labels("state").inc(portion.written_states)

    def finished(self, seconds: float, lead_seconds: float) -> None:
        """See `Observer.finished`."""
        self._seconds.observe(seconds)
        self._lead.observe(lead_seconds)

    def count_reads(self, kind: str, hits: int, misses: int) -> None:
        """Count reads of the cache, of announced sky; ``kind`` is ``tile`` or ``state``."""
        self._reads.labels(kind, "hit").inc(hits)
        self._reads.labels(kind, "miss").inc(misses)
