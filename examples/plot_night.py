"""Plot a night from the metrics topic: what became of the sources, how well they matched, how long it took.

    python examples/plot_night.py night.png                    # the last night on the topic
    python examples/plot_night.py night.png --night 20251120
    python examples/plot_night.py night.png --follow 600       # go on until nothing comes for ten minutes

Brokers and users come from the usual configuration (STREAM_ASSOC_KAFKA__..., stream-assoc.toml).
Needs matplotlib: pip install 'stream_assoc[plots]'.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

import stream_assoc
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import DayObs, day_obs, night_name, parse_night, utc_of

PARTS = {
    "numAssociatedDiaSources": ("associated", "#2f6fd6"),
    "numNewDiaObjects": ("new objects", "#1f8a4c"),
    "numAssociatedSsObjects": ("solar system", "#8250c4"),
    "numMarginalDiaSources": ("marginal", "#d9730d"),
    "numDroppedDiaSources": ("dropped", "#cf3341"),
}
BAND_COLOURS = {"u": "#8250c4", "g": "#2f6fd6", "r": "#1f8a4c", "i": "#d9730d", "z": "#cf3341", "y": "#5b6875"}


def read(follow_seconds: float | None) -> list[AssociationMetrics]:
    """Read the metrics that are there, and, when asked to, those that come until it is quiet for so long."""
    with stream_assoc.subscribe(
        "association-metrics",
        since="beginning",
        until_end=follow_seconds is None,
        idle_seconds=follow_seconds,
    ) as metrics:
        return sorted(metrics, key=lambda one: (one.midpointMjdTai, one.detector))


def plot(metrics: Sequence[AssociationMetrics], night: DayObs) -> Figure:
    """Return a figure of three panels over the time of the night."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    sources, separation, latency = figure.subplots(3, sharex=True)
    figure.suptitle(f"Night {night_name(night)}: {len(metrics):,} batches")

    visits = sorted({one.visit: one.midpointMjdTai for one in metrics}.items(), key=lambda visit: visit[1])
    times = mdates.date2num([utc_of(midpoint) for _, midpoint in visits])
    width = 0.9 * float(np.median(np.diff(times))) if len(times) > 1 else 1e-4
    bottom = np.zeros(len(visits))
    for name, (label, colour) in PARTS.items():
        totals = dict.fromkeys(dict(visits), 0)
        for one in metrics:
            totals[one.visit] += getattr(one, name)
        values = np.array(list(totals.values()))
        sources.bar(times, values, width, bottom, color=colour, label=label)
        bottom += values
    sources.set_ylabel("DIASources a visit")

    for band in dict.fromkeys(one.band for one in metrics):
        mine = [one for one in metrics if one.band == band and one.rmsSeparation is not None]
        moments = mdates.date2num([utc_of(one.midpointMjdTai) for one in mine])
        separation.plot(
            moments, [1000 * one.rmsSeparation for one in mine], ".", color=BAND_COLOURS[band], label=band
        )
    separation.set_ylabel("rms separation\nof the matches, mas")
    separation.set_ylim(bottom=0)

    moments = mdates.date2num([utc_of(one.midpointMjdTai) for one in metrics])
    milliseconds = [1000 * sum(one.stageSeconds.values()) for one in metrics]
    latency.plot(moments, milliseconds, ".", color="#2f6fd6")
    latency.set_ylabel("time a batch took, ms")
    latency.set_yscale("log")
    latency.xaxis_date()
    latency.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    latency.set_xlabel("UTC")

    for axes in (sources, separation):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for axes in (sources, separation, latency):
        axes.grid(color="#e3e7eb")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Read, choose the night, plot."""
    parser = argparse.ArgumentParser(description="Plot a night from the metrics topic.")
    parser.add_argument("picture", type=Path, help="file to write: .png, .svg or .pdf")
    parser.add_argument("--night", type=parse_night, help="YYYYMMDD at UTC-12h; default: the last on the topic")
    parser.add_argument("--follow", type=float, metavar="SECONDS", help="wait until nothing comes for so long")
    options = parser.parse_args()
    metrics = read(options.follow)
    if not metrics:
        parser.exit(1, "There are no metrics on the topic.\n")
    night = options.night or day_obs(metrics[-1].midpointMjdTai)
    chosen = [one for one in metrics if day_obs(one.midpointMjdTai) == night]
    if not chosen:
        nights = ", ".join(night_name(one) for one in sorted({day_obs(one.midpointMjdTai) for one in metrics}))
        parser.exit(1, f"There are no metrics of {night_name(night)}; there are some of {nights}.\n")
    plot(chosen, night).savefig(options.picture, dpi=120)
    print(f"{options.picture}: {len(chosen):,} batches of {night_name(night)}.")


if __name__ == "__main__":
    main()
