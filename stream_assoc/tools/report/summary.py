"""The numbers of a night, and what in it deserves a look."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.types import FloatArray
from stream_assoc.tools.report.night import Night
from stream_assoc.tools.report.separations import FAR, Separations

WORST: Final = 8
SLOW_FACTOR: Final = 5.0
"""The report mentions a p99 above this multiple of the median."""
ERROR_SCALES: Final = (0.8, 1.25)
"""The report mentions position errors whose scale lies outside this range."""
OFFSET_ARCSEC: Final = 0.1
"""The report mentions batches whose median offset is greater."""
FAR_FRACTION: Final = 0.001
FEW_SEPARATIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of a night.

    Attributes
    ----------
    n_visits, n_batches : `int`
    n_sources, n_associated, n_new, n_solar_system, n_marginal, n_dropped, n_ambiguous : `int`
        DIASources, in total and by outcome.
    n_forced, n_dead_letters, n_reprocessed : `int`
        Forced sources, dead letters, and batches that replaced an earlier processing.
    """

    n_visits: int
    n_batches: int
    n_sources: int
    n_associated: int
    n_new: int
    n_solar_system: int
    n_marginal: int
    n_dropped: int
    n_ambiguous: int
    n_forced: int
    n_dead_letters: int
    n_reprocessed: int


def counts_of(night: Night) -> Counts:
    """Return the counts of a night."""

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in night.metrics)

    return Counts(
        n_visits=len({one.visit for one in night.metrics}),
        n_batches=len(night.metrics),
        n_sources=total("numDiaSources"),
        n_associated=total("numAssociatedDiaSources"),
        n_new=total("numNewDiaObjects"),
        n_solar_system=total("numAssociatedSsObjects"),
        n_marginal=total("numMarginalDiaSources"),
        n_dropped=total("numDroppedDiaSources"),
        n_ambiguous=total("numAmbiguousDiaSources"),
        n_forced=total("numForcedSources"),
        n_dead_letters=len(night.dead_letters or ()),
        n_reprocessed=sum(one.revision > 0 for one in night.metrics),
    )


def latency(one: AssociationMetrics) -> float:
    """Return the time of a batch, all stages together, in seconds."""
    return sum(one.stageSeconds.values())


class StageTime(NamedTuple):
    """A stage of processing: its name, and the median and 99th percentile of its time in seconds."""

    name: str
    median: float
    p99: float


def stage_times(metrics: Sequence[AssociationMetrics]) -> list[StageTime]:
    """Return the stages in the order of processing."""
    names = dict.fromkeys(name for one in metrics for name in one.stageSeconds)
    times = []
    for name in names:
        seconds = np.array([one.stageSeconds.get(name, 0.0) for one in metrics])
        median, p99 = np.percentile(seconds, [50, 99])
        times.append(StageTime(name, float(median), float(p99)))
    return times


def offset_mas(one: AssociationMetrics) -> float:
    """Return the length of a batch's median offset in milliarcseconds; 0 if it has no match."""
    return 1000.0 * float(np.hypot(one.medianRaOffset or 0.0, one.medianDecOffset or 0.0))


def worst(
    metrics: Sequence[AssociationMetrics], badness: Callable[[AssociationMetrics], float], n_worst: int = WORST
) -> list[AssociationMetrics]:
    """Return the batches with the greatest badness, the worst first; none whose badness is 0."""
    return [one for one in sorted(metrics, key=badness, reverse=True)[:n_worst] if badness(one) > 0.0]


def attention(night: Night, apart: Separations | None) -> Iterator[str]:
    """Yield a sentence for each thing that deserves a look."""
    counts = counts_of(night)
    parts = counts.n_associated + counts.n_solar_system + counts.n_new + counts.n_marginal + counts.n_dropped
    if parts != counts.n_sources:
        yield f"The parts of the sources add up to {parts:,}, not to {counts.n_sources:,}."
    if night.dead_letters:
        reasons = Counter(dead_letter.record.reason for dead_letter in night.dead_letters)
        listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        yield f"{counts.n_dead_letters:,} messages could not be processed: {listed}."
    if counts.n_dropped:
        yield f"{counts.n_dropped:,} sources had no usable position."
    unmeasured = Counter(one.forcedPhotometryError for one in night.metrics if one.forcedPhotometryError)
    if unmeasured:
        listed = ", ".join(f"{count} {reason}" for reason, count in unmeasured.most_common())
        yield f"{unmeasured.total():,} batches have images on which nothing was measured: {listed}."
    yield from _slow(np.array([latency(one) for one in night.metrics]))
    shifted = [one for one in night.metrics if offset_mas(one) > 1000.0 * OFFSET_ARCSEC]
    if shifted:
        yield f"{len(shifted):,} batches lie more than {OFFSET_ARCSEC * 1000:.0f} mas from the objects they matched."
    if apart is not None and len(apart) >= FEW_SEPARATIONS:
        low, high = ERROR_SCALES
        if not low <= apart.error_scale <= high:
            word = "small" if apart.error_scale > high else "large"
            yield f"Position errors are too {word}: separations fit errors {apart.error_scale:.2f} times as large."
    if apart is not None and apart.n_far > FAR_FRACTION * len(apart):
        share = apart.n_far / len(apart)
        yield (
            f"{apart.n_far:,} sources ({share:.2%}) lie more than {FAR:.0f} expected errors from their object: "
            "unpredicted moving sources, or wrong associations."
        )
    if counts.n_reprocessed:
        yield f"{counts.n_reprocessed:,} batches replaced an earlier processing."


def _slow(seconds: FloatArray) -> Iterator[str]:
    if not len(seconds):
        return
    p50, p99 = np.percentile(seconds, [50, 99])
    if p99 > SLOW_FACTOR * p50 > 0.0:
        yield f"The slowest batches took {p99:.2f} s (p99), {p99 / p50:.0f} times the median of {p50:.3f} s."
