"""The figures of a night, each an SVG element."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import utc_of
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.tools.report.separations import FAR, Separations, rayleigh
from stream_assoc.tools.report.summary import latency, stage_times
from stream_assoc.tools.report.theme import (
    ASSOCIATED,
    DROPPED,
    INK,
    MARGINAL,
    MEASURED,
    MUTED,
    NEW,
    PICTURE_COLOURS,
    SECOND,
    SOLAR,
    bar_days,
    by_band,
    by_visit,
    dates,
    legend_above,
    observed,
    points,
    styled,
    svg_of,
    time_axis,
)

WIDE: Final = (10.0, 3.4)
HALF: Final = (5.6, 3.8)
SKY: Final = (10.0, 4.2)

_LEAST_SHOWN_SECONDS: Final = 5e-5
"""Stages whose p99 is shorter are left out."""

PARTS: Final = (
    ("numAssociatedDiaSources", "associated", ASSOCIATED),
    ("numNewDiaObjects", "new objects", NEW),
    ("numAssociatedSsObjects", "solar system", SOLAR),
    ("numMarginalDiaSources", "marginal", MARGINAL),
    ("numDroppedDiaSources", "dropped", DROPPED),
)


_MOST_POINTS: Final = 40_000
"""A random choice of so many points is drawn at most: it looks the same, and the file stays small."""

_KINDS: Final = (("associated", ASSOCIATED), ("new objects", NEW), ("solar system", SOLAR))

_WIDEST_FIELD_DEG: Final = 60.0
"""Wider fields are drawn on the whole sky."""


def visits_over_time(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the sources of each visit by outcome, over the night."""
    with styled():
        figure = Figure(figsize=WIDE)
        axes = figure.subplots()
        visits = by_visit(metrics)
        times = [utc_of(batches[0].midpointMjdTai) for batches in visits]
        bottom = np.zeros(len(visits))
        width = bar_days(times)
        for name, label, colour in PARTS:
            values = np.array([sum(getattr(one, name) for one in batches) for batches in visits])
            if values.any():
                axes.bar(dates(times), values, width, bottom, color=colour, label=label)
            bottom += values
        axes.set_ylabel("DIASources a visit")
        time_axis(axes)
        if bottom.any():
            legend_above(axes, len(PARTS))
        return svg_of(figure)


def known_over_time(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the fraction of the known objects seen again, over the night."""
    known = [one for one in metrics if one.fracUpdatedDiaObjects is not None]
    with styled():
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        by_band(axes, known, lambda one: one.fracUpdatedDiaObjects or 0.0)
        axes.set_ylim(0.0, 1.02)
        axes.set_ylabel("known objects seen again, fraction")
        return svg_of(figure)


def single_over_time(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the number of objects with a single source, as the night was processed."""
    with styled():
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        times = [utc_of(one.timeProcessedMjdTai) for one in metrics]
        points(axes, times, [one.totalUnassociatedDiaObjects for one in metrics], MEASURED)
        axes.set_ylabel("objects with a single source, whole APDB")
        axes.set_ylim(bottom=0.0)
        time_axis(axes, "UTC of processing")
        return svg_of(figure)


def latency_waterfall(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the stages of a batch one after the other: their medians, and the 99th percentile of each."""
    with styled():
        stages = [stage for stage in stage_times(metrics) if stage.p99 >= _LEAST_SHOWN_SECONDS]
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        begin = 0.0
        total = sum(stage.median for stage in stages) * 1000.0
        for row, stage in enumerate(stages):
            width = stage.median * 1000.0
            axes.barh(row, width, left=begin, color=MEASURED, height=0.62)
            is_left = begin + width / 2.0 > total / 2.0
            axes.annotate(
                f"{width:.1f} ms, p99 {stage.p99 * 1000.0:.1f}",
                (begin if is_left else begin + width, row),
                xytext=(-5 if is_left else 5, 0),
                textcoords="offset points",
                ha="right" if is_left else "left",
                va="center",
                fontsize=8.5,
                color=MUTED,
            )
            begin += width
        axes.set_yticks(range(len(stages)), [stage.name.replace("_", " ") for stage in stages])
        axes.invert_yaxis()
        axes.set_xlabel(f"ms after the beginning, medians of {len(metrics):,} batches")
        axes.set_xlim(0.0, total * 1.02 or 1.0)
        axes.grid(axis="y", visible=False)
        return svg_of(figure)


def latency_over_time(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the time of each batch, with median and 99th percentile."""
    with styled():
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        milliseconds = np.array([1000.0 * latency(one) for one in metrics])
        points(axes, observed(metrics), milliseconds, MEASURED)
        for percentile, colour in ((50, INK), (99, SECOND)):
            value = float(np.percentile(milliseconds, percentile))
            axes.axhline(value, color=colour, ls="--", label=f"p{percentile} {value:,.0f} ms")
        if milliseconds.min() > 0.0 and milliseconds.max() > 20.0 * np.median(milliseconds):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0.0)
        axes.set_ylabel("time a batch took, ms")
        time_axis(axes)
        legend_above(axes, 2)
        return svg_of(figure)


def separation_histogram(apart: Separations) -> str:
    """Draw the histogram of normalised separations, and the curve they follow if the errors are right."""
    with styled():
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        edges = np.linspace(0.0, FAR, 61)
        shown = np.minimum(apart.normalised, FAR - 1e-9)
        counts, _ = np.histogram(shown, edges)
        width = edges[1] - edges[0]
        density = counts / (len(apart) * width)
        beyond = float((apart.normalised > FAR).mean())
        label = f"{len(apart):,} sources; {beyond:.2%} beyond {FAR:.0f}"
        axes.stairs(density, edges, fill=True, color=MEASURED, alpha=0.55, label=label)
        curve = np.linspace(0.0, FAR, 200)
        axes.plot(curve, rayleigh(curve), color=SECOND, label="Rayleigh: the errors are right")
        scale = apart.error_scale
        fitted = rayleigh(curve / scale) / scale
        axes.plot(curve, fitted, color=INK, ls=":", label=f"errors {scale:.2f} times as large")
        axes.set_xlabel("separation from the object / its expected error")
        axes.set_ylabel("density")
        axes.set_xlim(0.0, FAR)
        axes.set_ylim(bottom=0.0)
        axes.legend(loc="upper right")
        return svg_of(figure)


def offsets(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the median offset of each batch from its matched objects, over the night."""
    with styled():
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        matched = [one for one in metrics if one.medianRaOffset is not None and one.medianDecOffset is not None]
        for name, label, colour in (("medianRaOffset", "ra cos(dec)", MEASURED), ("medianDecOffset", "dec", SECOND)):
            points(axes, observed(matched), [1000.0 * getattr(one, name) for one in matched], colour, label)
        axes.axhline(0.0, color=MUTED, lw=0.8)
        axes.set_ylabel("median offset from the objects, mas")
        time_axis(axes)
        legend_above(axes, 2)
        return svg_of(figure)


def scatter(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the rms separation of the matched sources of each batch, by band."""
    matched = [one for one in metrics if one.rmsSeparation is not None]
    with styled():
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        by_band(axes, matched, lambda one: 1000.0 * (one.rmsSeparation or 0.0))
        axes.set_ylabel("rms separation of the matches, mas")
        axes.set_ylim(bottom=0.0)
        return svg_of(figure)


def ambiguity(metrics: Sequence[AssociationMetrics]) -> str:
    """Draw the fraction of matched sources with several candidates, and the margin of the match."""
    with styled():
        figure = Figure(figsize=HALF)
        axes = figure.subplots()
        matched = [one for one in metrics if one.numAssociatedDiaSources]
        shares = [100.0 * one.numAmbiguousDiaSources / one.numAssociatedDiaSources for one in matched]
        points(axes, observed(matched), shares, MEASURED)
        axes.set_ylabel("matches with more than one candidate, %", color=MEASURED)
        axes.set_ylim(bottom=0.0)
        clear = [one for one in matched if one.medianMargin is not None]
        other = axes.twinx()
        points(other, observed(clear), [one.medianMargin or 0.0 for one in clear], SECOND)
        other.set_ylabel("median margin of the runner-up", color=SECOND)
        other.grid(visible=False)
        time_axis(axes)
        return svg_of(figure)


def sky_map(sources: pa.Table) -> str:
    """Draw the positions of sources: associated, new and solar-system ones."""
    with styled():
        figure = Figure(figsize=SKY)
        ra, dec = (np.asarray(sources[name].to_numpy(), np.float64) for name in ("ra", "dec"))
        kind = _kinds(sources)
        chosen = _thinned(len(ra))
        axes, x, y = _projected(figure, ra, dec)
        for number, (name, colour) in enumerate(_KINDS):
            mine = chosen[kind[chosen] == number]
            label = f"{name} ({int((kind == number).sum()):,})"
            # Rasterised: as shapes they would be most of the file.
            axes.scatter(
                x[mine], y[mine], s=3.0, color=PICTURE_COLOURS[colour], linewidths=0, label=label, rasterized=True
            )
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), markerscale=3, handletextpad=0.2)
        return svg_of(figure)


def _kinds(sources: pa.Table) -> np.ndarray:
    """Return 0 for associated, 1 for new and 2 for solar-system sources."""
    is_new = pc.fill_null(pc.equal(sources["diaSourceId"], sources["diaObjectId"]), False)
    is_solar = pc.greater(pc.fill_null(sources["ssObjectId"], 0), 0)
    return np.where(is_solar.to_numpy(), 2, np.where(is_new.to_numpy(), 1, 0))


def _thinned(n_points: int) -> np.ndarray:
    if n_points <= _MOST_POINTS:
        return np.arange(n_points)
    return np.sort(np.random.default_rng(0).choice(n_points, _MOST_POINTS, replace=False))


def _projected(figure: Figure, ra: np.ndarray, dec: np.ndarray) -> tuple[Axes, np.ndarray, np.ndarray]:
    """Return axes, and positions on them: a plane around the centre of a field, or the whole sky."""
    vectors = unit_vectors(ra, dec)
    centre = vectors.mean(axis=0)
    centre /= np.linalg.norm(centre) or 1.0
    radius = np.degrees(np.arccos(np.clip((vectors @ centre).min(), -1.0, 1.0)))
    if 2.0 * radius > _WIDEST_FIELD_DEG:
        axes = figure.add_subplot(projection="mollweide")
        x = -np.radians((ra + 180.0) % 360.0 - 180.0)
        axes.set_xticklabels([])
        axes.set_title("Whole sky, east to the left, RA 0 in the middle")
        return axes, x, np.radians(dec)
    (ra0,), (dec0,) = to_radec(centre[np.newaxis])
    # Tangent-plane coordinates, in degrees around the centre.
    lon, lat, lat0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    depth = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(lon)
    x = np.degrees(np.cos(lat) * np.sin(lon) / depth)
    y = np.degrees((np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(lon)) / depth)
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    # At the left: a narrow screen shows the left part of the figure first.
    axes.set_anchor("W")
    axes.invert_xaxis()
    axes.set_xlabel(f"degrees east of RA {ra0:.3f}")
    axes.set_ylabel(f"degrees north of dec {dec0:+.3f}")
    return axes, x, y
