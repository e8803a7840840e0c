"""The page of a night, from its numbers and figures; ``report.html`` is its template."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from stream_assoc import __version__
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import night_name, utc_of
from stream_assoc.tools.report import figures
from stream_assoc.tools.report.night import Night, NightDeadLetter, counted_nights
from stream_assoc.tools.report.separations import Separations, separations
from stream_assoc.tools.report.summary import WORST, attention, counts_of, latency, offset_mas, worst

_SHOWN: Final = 50


class Tile(NamedTuple):
    """A number that stands for itself: its name, its value and a remark."""

    name: str
    value: str
    remark: str = ""


class Drawing(NamedTuple):
    """A figure: its title, its SVG element, and what it shows."""

    title: str
    svg: str
    caption: str
    is_wide: bool = False


def page(night: Night) -> str:
    """Return the report of a night as one HTML document.

    It fetches nothing: figures, style and numbers are all inside. Equal nights
    give equal bytes. Every text is escaped, whoever wrote it.
    """
    apart = None if night.sources is None or night.objects is None else separations(night.sources, night.objects)
    environment = Environment(
        loader=PackageLoader("stream_assoc.tools.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html").render(
        title=night_name(night.day_obs),
        lead=_lead(night),
        tiles=list(_tiles(night)),
        attention=list(attention(night, apart)),
        drawings=[(heading, group) for heading, group in _drawings(night, apart) if group],
        worst_batches=list(_worst_batches(night.metrics)),
        farthest=list(_farthest(night, apart)),
        dead_letters=None if night.dead_letters is None else list(map(_dead_letter_row, night.dead_letters[:_SHOWN])),
        n_dead_letters=f"{len(night.dead_letters or ()):,}",
        reasons=_reasons(night.dead_letters or ()),
        other_nights=counted_nights(night.other_dead_letters),
        origins=night.origins,
        version=__version__,
    )


def _lead(night: Night) -> str:
    if not night.metrics:
        return "dayObs at UTC-12h"
    first, last = (utc_of(one.midpointMjdTai) for one in (night.metrics[0], night.metrics[-1]))
    bands = ", ".join(dict.fromkeys(one.band for one in night.metrics))
    return f"dayObs at UTC-12h. Observed from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC, in {bands}."


def _tiles(night: Night) -> Iterator[Tile]:
    counts = counts_of(night)
    n_dead_letters = "-" if night.dead_letters is None else f"{counts.n_dead_letters:,}"
    dead_letters = Tile("dead letters", n_dead_letters, "not read" if night.dead_letters is None else "")
    if not night.metrics:
        n_stored = 0 if night.sources is None else night.sources.num_rows
        yield Tile("batches with metrics", "0", "are the metrics older than the topic keeps?")
        yield Tile("stored DIASources", f"{n_stored:,}")
        yield dead_letters
        return
    milliseconds = 1000.0 * np.array([latency(one) for one in night.metrics])

    def share(part: int, whole: int) -> str:
        return f"{part / whole:.1%}" if whole else ""

    yield Tile("visits", f"{counts.n_visits:,}", f"{counts.n_batches:,} batches")
    yield Tile("DIASources", f"{counts.n_sources:,}", f"{counts.n_sources / counts.n_batches:,.0f} a batch")
    yield Tile("associated", f"{counts.n_associated:,}", share(counts.n_associated, counts.n_sources))
    yield Tile("new DIAObjects", f"{counts.n_new:,}", share(counts.n_new, counts.n_sources))
    yield Tile("solar system", f"{counts.n_solar_system:,}", share(counts.n_solar_system, counts.n_sources))
    yield Tile("marginal", f"{counts.n_marginal:,}", share(counts.n_marginal, counts.n_sources))
    yield Tile("dropped", f"{counts.n_dropped:,}", "no usable position")
    ambiguous = share(counts.n_ambiguous, counts.n_associated)
    yield Tile("ambiguous", f"{counts.n_ambiguous:,}", f"{ambiguous} of matches" if ambiguous else "")
    if counts.n_forced:
        yield Tile("forced sources", f"{counts.n_forced:,}", f"{counts.n_forced / counts.n_batches:,.0f} a batch")
    yield Tile("latency p50", f"{np.percentile(milliseconds, 50):,.0f} ms", "all stages of a batch")
    longest = f"longest {milliseconds.max() / 1000.0:.2f} s"
    yield Tile("latency p99", f"{np.percentile(milliseconds, 99):,.0f} ms", longest)
    yield dead_letters
    yield Tile("re-processed", f"{counts.n_reprocessed:,}", "batches")


def _drawings(night: Night, apart: Separations | None) -> Iterator[tuple[str, list[Drawing]]]:
    """Yield the figures under their headings."""
    yield "Sky and time", list(_sky_and_time(night))
    yield "Latency", list(_latency(night.metrics))
    yield "Association", list(_association(night.metrics, apart))


def _sky_and_time(night: Night) -> Iterator[Drawing]:
    if night.metrics:
        yield Drawing(
            "Sources of each visit",
            figures.visits_over_time(night.metrics),
            "Every source of a visit is in one part; the parts add up to all of them.",
            is_wide=True,
        )
    if night.sources is not None and night.sources.num_rows:
        yield Drawing(
            "Where",
            figures.sky_map(night.sources),
            "Stored sources: those that joined an object, created one, or are known solar-system objects. "
            "North is up, east to the left.",
            is_wide=True,
        )


def _latency(metrics: Sequence[AssociationMetrics]) -> Iterator[Drawing]:
    if not metrics:
        return
    yield Drawing(
        "Where the time goes",
        figures.latency_waterfall(metrics),
        "The stages of a batch, one after the other. Batches of a micro-batch share some work: waiting for their "
        "cells, reading the cache, storing, publishing. No batch's metrics include it; Prometheus has it.",
    )
    yield Drawing(
        "Time of each batch",
        figures.latency_over_time(metrics),
        "All stages together. The first batch after a start may include compilation.",
    )


def _association(metrics: Sequence[AssociationMetrics], apart: Separations | None) -> Iterator[Drawing]:
    if apart is not None and len(apart):
        yield Drawing(
            "Separations in units of their errors",
            figures.separation_histogram(apart),
            "Sources of objects with two sources or more. If the errors are right, they follow the Rayleigh curve. "
            "A histogram to its right means that the errors are too small; a long tail means wrong associations. "
            "The last bin holds everything beyond.",
        )
    if any(one.medianRaOffset is not None for one in metrics):
        yield Drawing(
            "Astrometric offset",
            figures.offsets(metrics),
            "Median over the matched sources of a batch. A batch away from zero has another astrometric solution.",
        )
    if any(one.numAssociatedDiaSources for one in metrics):
        yield Drawing(
            "Ambiguous associations",
            figures.ambiguity(metrics),
            "Matched sources with more than one candidate. The margin is the runner-up's score minus the match's: "
            "near zero, either could have won.",
        )
    if any(one.rmsSeparation is not None for one in metrics):
        yield Drawing(
            "Scatter of the matches",
            figures.scatter(metrics),
            "Root mean square separation of the matched sources of a batch from their objects.",
        )
    if metrics:
        yield Drawing(
            "Known objects seen again",
            figures.known_over_time(metrics),
            "The fraction of the known objects inside a detector's outline that gained a source.",
        )
        yield Drawing(
            "Objects seen once",
            figures.single_over_time(metrics),
            "DIAObjects of the whole database with a single source, as the night was processed.",
        )


def _worst_batches(metrics: Sequence[AssociationMetrics]) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield a heading and the rows under it for each way in which a batch can stand out."""
    kinds = (
        ("Slowest batches", latency),
        ("Batches with the most ambiguous associations", lambda one: float(one.numAmbiguousDiaSources)),
        ("Batches farthest from their objects", offset_mas),
        ("Batches with the most dropped sources", lambda one: float(one.numDroppedDiaSources)),
    )
    for heading, badness in kinds:
        if batches := worst(metrics, badness):
            yield heading, list(map(_batch_row, batches))


def _batch_row(one: AssociationMetrics) -> list[str]:
    return [
        str(one.visit),
        str(one.detector),
        one.band,
        f"{utc_of(one.midpointMjdTai):%H:%M:%S}",
        f"{one.numDiaSources:,}",
        f"{one.numAssociatedDiaSources:,}",
        f"{one.numNewDiaObjects:,}",
        f"{one.numAmbiguousDiaSources:,}",
        "-" if one.medianRaOffset is None else f"{offset_mas(one):.1f}",
        "-" if one.rmsSeparation is None else f"{1000 * one.rmsSeparation:.0f}",
        f"{1000 * latency(one):,.0f}",
    ]


def _farthest(night: Night, apart: Separations | None) -> Iterator[list[str]]:
    """Yield the rows of the sources farthest from their objects."""
    if apart is None or night.sources is None:
        return
    for index in np.argsort(-apart.normalised)[:WORST].tolist():
        (source,) = night.sources.slice(int(apart.row[index]), 1).to_pylist()
        snr = source["snr"]
        yield [
            *(str(source[name]) for name in ("diaSourceId", "diaObjectId", "visit", "detector", "band")),
            "-" if snr is None else f"{snr:.1f}",
            f"{1000 * apart.arcsec[index]:.0f}",
            f"{apart.normalised[index]:.2f}",
        ]


def _reasons(dead_letters: Sequence[NightDeadLetter]) -> list[tuple[str, str]]:
    counts = Counter(dead_letter.record.reason for dead_letter in dead_letters)
    return [(reason, f"{count:,}") for reason, count in counts.most_common()]


def _dead_letter_row(dead_letter: NightDeadLetter) -> list[str]:
    record, batch = dead_letter.record, dead_letter.batch
    name = "unreadable" if batch is None else f"{batch.id.visit}.{batch.id.detector}"
    return [f"{record.topic}[{record.partition}]@{record.offset}", name, record.reason, record.message]
