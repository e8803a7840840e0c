"""How the cost of a visit grows with what is in it: measured, drawn, and written for the documentation.

Run as ``python -m benchmarks.growth``; it writes the plot and prints the numbers.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot

from benchmarks.rooms import visit
from benchmarks.side_by_side import in_turns
from benchmarks.skies import Size
from stream_assoc.daemon.heap import keep_freed_memory

PLOT = Path(__file__).parents[1] / "docs" / "figures" / "growth.svg"
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Series:
    """The seconds that computing took for each of some sizes."""

    title: str
    sizes: Sequence[int]
    seconds: Sequence[float]


def measured(title: str, sizes: Sequence[int], size_of: "dict[int, Size]") -> Series:
    """Measure visits of each size; one after the other, each the best of some rounds."""
    seconds = []
    for size in sizes:
        one = visit(size_of[size])
        seconds.append(in_turns(ROUNDS, compute=one.compute).seconds["compute"])
        print(f"{title} {size:>9,d}: {1000.0 * seconds[-1]:8.1f} ms", flush=True)
    return Series(title, sizes, seconds)


def all_series() -> list[Series]:
    """Measure what docs/performance.md shows."""
    sources = [1_000, 3_000, 10_000, 20_000, 40_000]
    objects = [10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000]
    points = [1, 10, 30, 100, 300, 1_000]
    return [
        measured("sources of the visit", sources, {n: Size(n, 100_000) for n in sources}),
        measured("objects in the region", objects, {n: Size(5_000, n) for n in objects}),
        measured("points of each object", points, {n: Size(2_000, 100_000, n) for n in points}),
    ]


def draw(axes: Axes, series: Series) -> None:
    """Draw one series, and what it would be if cost grew in proportion from its last point."""
    sizes, milliseconds = np.array(series.sizes), 1000.0 * np.array(series.seconds)
    axes.loglog(sizes, milliseconds, "o-", color="#1f6f8b", label="measured")
    axes.loglog(sizes, milliseconds[-1] * sizes / sizes[-1], ":", color="#888888", label="in proportion")
    axes.set_xlabel(series.title)
    axes.set_ylabel("milliseconds a visit")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(frameon=False)


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, default=PLOT, help="where the SVG goes")
    path = parser.parse_args().plot
    keep_freed_memory()
    every = all_series()
    plot = Plot(figsize=(4.2 * len(every), 3.6), layout="constrained")
    for axes, series in zip(plot.subplots(1, len(every)), every, strict=True):
        draw(axes, series)
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(path)
    print(f"Drawn in {path}")


if __name__ == "__main__":
    main()
