"""The page of a night, from its numbers and figures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np

from stream_assoc import __version__
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import night_name, utc_of
from stream_assoc.tools.report import figures, html
from stream_assoc.tools.report.html import Column, Tile
from stream_assoc.tools.report.night import Night, NightLetter, counted_nights
from stream_assoc.tools.report.separations import Separations, separations
from stream_assoc.tools.report.sky_map import sky_map
from stream_assoc.tools.report.summary import WORST, attention, counts_of, latency, offset_mas, worst

_LETTERS = 50

_BATCH_COLUMNS = (
    *(Column("visit"), Column("detector"), Column("band"), Column("UTC"), Column("sources"), Column("associated")),
    *(Column("new"), Column("ambiguous"), Column("offset, mas"), Column("rms, mas"), Column("took, ms")),
)


def page(night: Night) -> str:
    """Return the report of a night as one HTML document.

    It fetches nothing: figures, style and numbers are all inside.
    """
    apart = None if night.sources is None or night.objects is None else separations(night.sources, night.objects)
    title = f"Night {night_name(night.day_obs)}"
    parts = [
        f"<header><h1>{title}</h1>{html.paragraph(_lead(night), 'lead')}</header>",
        *_filled(night, apart),
        _footer(night),
    ]
    style = files("stream_assoc.tools.report").joinpath("style.css").read_text(encoding="utf-8")
    return html.document(f"{title} - stream_assoc", style, "".join(parts))


def _lead(night: Night) -> str:
    if not night.metrics:
        return "dayObs at UTC-12h"
    first, last = (utc_of(one.midpointMjdTai) for one in (night.metrics[0], night.metrics[-1]))
    bands = ", ".join(dict.fromkeys(one.band for one in night.metrics))
    return f"dayObs at UTC-12h. Observed from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC, in {bands}."


def _filled(night: Night, apart: Separations | None) -> Iterator[str]:
    yield html.tiles(_tiles(night))
    yield html.section(
        "What deserves a look", html.look(list(attention(night, apart)), "Nothing stands out in this night.")
    )
    yield html.section("Sky and time", html.figures(_sky_and_time(night)))
    if night.metrics:
        yield html.section("Latency", html.figures(_latency(night.metrics)))
    association = list(_association(night, apart))
    if association:
        yield html.section("Association", html.figures(association))
    yield html.section("Worst offenders", *_offenders(night, apart))
    yield html.section("Dead letters", *_letters(night))


def _tiles(night: Night) -> Iterator[Tile]:
    counts = counts_of(night)
    if not night.metrics:
        n_stored = 0 if night.sources is None else night.sources.num_rows
        yield Tile("batches with metrics", "0", "are the metrics older than the topic keeps?")
        yield Tile("stored DIASources", f"{n_stored:,}")
        yield _letters_tile(night)
        return
    seconds = np.array([latency(one) for one in night.metrics])

    def share(part: int, whole: int) -> str:
        return f"{part / whole:.1%}" if whole else ""

    yield Tile("visits", f"{counts.n_visits:,}", f"{counts.n_batches:,} batches")
    yield Tile("DIASources", f"{counts.n_sources:,}", f"{counts.n_sources / counts.n_batches:,.0f} a batch")
    yield Tile("associated", f"{counts.n_associated:,}", share(counts.n_associated, counts.n_sources))
    yield Tile("new DIAObjects", f"{counts.n_new:,}", share(counts.n_new, counts.n_sources))
    yield Tile("solar system", f"{counts.n_solar_system:,}", share(counts.n_solar_system, counts.n_sources))
    yield Tile("marginal", f"{counts.n_marginal:,}", share(counts.n_marginal, counts.n_sources))
    yield Tile("dropped", f"{counts.n_dropped:,}", "no usable position")
    yield Tile("ambiguous", f"{counts.n_ambiguous:,}", f"{share(counts.n_ambiguous, counts.n_associated)} of matches")
    if counts.n_forced:
        yield Tile("forced sources", f"{counts.n_forced:,}", f"{counts.n_forced / counts.n_batches:,.0f} a batch")
    yield Tile("latency p50", f"{1000 * np.percentile(seconds, 50):,.0f} ms", "all stages of a batch")
    yield Tile("latency p99", f"{1000 * np.percentile(seconds, 99):,.0f} ms", f"greatest {seconds.max():.2f} s")
    yield _letters_tile(night)
    yield Tile("re-processed", f"{counts.n_reprocessed:,}", "batches")


def _letters_tile(night: Night) -> Tile:
    return (
        Tile("dead letters", "-", "not read")
        if night.letters is None
        else Tile("dead letters", f"{len(night.letters):,}")
    )


def _sky_and_time(night: Night) -> Iterator[str]:
    if night.metrics:
        yield html.figure(
            "Sources of each visit",
            figures.visits_over_time(night.metrics),
            "Every source of a visit is in one part; the parts add up to all of them.",
            is_wide=True,
        )
    if night.sources is not None and night.sources.num_rows:
        yield html.figure(
            "Where",
            sky_map(night.sources),
            "Stored sources: those that joined an object, founded one, or are known solar-system objects. "
            "North is up, east to the left.",
            is_wide=True,
        )


def _latency(metrics: Sequence[AssociationMetrics]) -> Iterator[str]:
    yield html.figure(
        "Where the time goes",
        figures.latency_waterfall(metrics),
        "The stages of a batch, one after the other. What batches share that are processed together (waiting for "
        "their cells, reading the cache, storing, publishing) is in no batch's metrics; Prometheus has it.",
    )
    yield html.figure(
        "Time of each batch",
        figures.latency_over_time(metrics),
        "All stages together. The very first batch after a start may compile.",
    )


def _association(night: Night, apart: Separations | None) -> Iterator[str]:
    if apart is not None and len(apart):
        yield html.figure(
            "Separations in units of their errors",
            figures.separation_histogram(apart),
            "Sources of objects with two sources or more. Where the errors are right they follow the Rayleigh curve; "
            "a histogram to its right means errors that are too small, a long tail wrong associations. "
            "The last bin holds all beyond.",
        )
    if any(one.medianRaOffset is not None for one in night.metrics):
        yield html.figure(
            "Astrometric offset",
            figures.offsets(night.metrics),
            "Median over the matched sources of a batch. A batch away from zero has another astrometric solution.",
        )
    if any(one.numAssociatedDiaSources for one in night.metrics):
        yield html.figure(
            "Ambiguous associations",
            figures.ambiguity(night.metrics),
            "Matched sources that had a choice. The margin is the runner-up's score minus the match's: "
            "near zero it was a toss-up.",
        )
    if any(one.rmsSeparation is not None for one in night.metrics):
        yield html.figure(
            "Scatter of the matches",
            figures.scatter(night.metrics),
            "Root mean square separation of the matched sources of a batch from their objects.",
        )
    if night.metrics:
        yield html.figure(
            "Known objects seen again",
            figures.known_over_time(night.metrics),
            "Of the objects that were known inside a detector's outline, the fraction that gained a source.",
        )
        yield html.figure(
            "Objects seen once",
            figures.single_over_time(night.metrics),
            "DIAObjects of the whole database with a single source, as the night was processed.",
        )


def _offenders(night: Night, apart: Separations | None) -> Iterator[str]:
    kinds = (
        ("Slowest batches", latency),
        ("Batches with the most ambiguous associations", lambda one: float(one.numAmbiguousDiaSources)),
        ("Batches farthest from their objects", offset_mas),
        ("Batches with the most dropped sources", lambda one: float(one.numDroppedDiaSources)),
    )
    n_tables = 0
    for title, badness in kinds:
        batches = worst(night.metrics, badness)
        if batches:
            n_tables += 1
            yield html.subtitle(title)
            yield html.table(title, _BATCH_COLUMNS, map(_batch_row, batches))
    if apart is not None and night.sources is not None and len(apart):
        n_tables += 1
        yield html.subtitle("Sources farthest from their objects, in units of their errors")
        yield html.table("Sources farthest from their objects", _SOURCE_COLUMNS, _source_rows(night, apart))
    if not n_tables:
        yield html.paragraph("There is none.", "note")


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


_SOURCE_COLUMNS = (
    *(Column("diaSourceId"), Column("diaObjectId"), Column("visit"), Column("detector"), Column("band")),
    *(Column("SNR"), Column("separation, mas"), Column("in errors")),
)


def _source_rows(night: Night, apart: Separations) -> Iterator[list[str]]:
    assert night.sources is not None  # noqa: S101 - who has separations has sources
    for index in np.argsort(-apart.normalised)[:WORST].tolist():
        (source,) = night.sources.slice(int(apart.row[index]), 1).to_pylist()
        snr = source["snr"]
        yield [
            str(source["diaSourceId"]),
            str(source["diaObjectId"]),
            str(source["visit"]),
            str(source["detector"]),
            str(source["band"]),
            "-" if snr is None else f"{snr:.1f}",
            f"{1000 * apart.arcsec[index]:.0f}",
            f"{apart.normalised[index]:.2f}",
        ]


def _letters(night: Night) -> Iterator[str]:
    letters = night.letters
    if letters is None:
        yield html.paragraph("They were not read.", "note")
        return
    if night.other_letters:
        yield html.paragraph(f"Under other nights: {counted_nights(night.other_letters)}.", "note")
    if not letters:
        yield html.paragraph("There is none of this night.", "note")
        return
    reasons = Counter(letter.record.reason for letter in letters)
    yield html.table(
        "Dead letters by reason",
        (Column("reason", is_text=True), Column("messages")),
        ([reason, f"{count:,}"] for reason, count in reasons.most_common()),
    )
    yield html.paragraph(
        f"The first {min(_LETTERS, len(letters))} of {len(letters):,}. `stream-assoc dlq show` tells all of one, "
        "and `dlq replay` sends it back."
    )
    yield html.table(
        "The first dead letters",
        (Column("original"), Column("visit.detector"), Column("reason", is_text=True), Column("why", is_text=True)),
        map(_letter_row, letters[:_LETTERS]),
    )


def _letter_row(letter: NightLetter) -> list[str]:
    record, batch = letter.record, letter.batch
    name = "unreadable" if batch is None else f"{batch.id.visit}.{batch.id.detector}"
    return [f"{record.topic}[{record.partition}]@{record.offset}", name, record.reason, record.message]


def _footer(night: Night) -> str:
    origins = html.paragraph(f"Read from {'; '.join(night.origins)}.") if night.origins else ""
    return (
        f"<footer>{origins}"
        + html.paragraph(
            "A night is a date at UTC-12h, of the middle of the exposure (midpointMjdTai). Of a batch that was "
            "re-processed the last revision counts. Dead letters belong to the night of their batch, or, where that "
            "cannot be read, to the night in which they were set aside."
        )
        + html.paragraph(f"stream_assoc {__version__}")
        + "</footer>"
    )
