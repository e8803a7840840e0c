"""The plot of docs/performance.md: what a visit costs with ever longer histories."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Plot

from benchmarks.survey.visits import Measured

COLOURS = {"cold": "#b5482f", "announced": "#c99a2e", "warm": "#1f6f8b", "copies": "#888888"}
LABELS = {
    "cold": "nothing cached",
    "announced": "announced before",
    "warm": "everything cached",
    "copies": "raw COPY of its rows",
}


def draw(measured: Mapping[int, Measured], path: Path) -> None:
    """Draw the median, least and longest time of each kind of visit against the sources an object has."""
    plot = Plot(figsize=(7.0, 4.2), layout="constrained")
    axes = plot.subplots()
    sizes = np.array(list(measured))
    for kind, colour in COLOURS.items():
        seconds = [np.array(getattr(one, kind)) for one in measured.values()]
        if not all(map(len, seconds)):
            continue
        middle, least, most = (np.array([function(s) for s in seconds]) for function in (np.median, np.min, np.max))
        axes.errorbar(
            sizes, middle, [middle - least, most - middle], fmt="o-", capsize=3, color=colour, label=LABELS[kind]
        )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("sources of each object")
    axes.set_ylabel("seconds a visit of 10,000 sources")
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(path)
