"""How cost grows with what is in a visit, and what more daemons bring: measured and drawn for the documentation.

Run as ``python -m benchmarks.growth``; it writes the plot and prints the numbers.
"""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot

from benchmarks.deployed import SECTIONS, Listener, Sender, backlog_rate, serving
from benchmarks.pipeline_services import visit
from benchmarks.side_by_side import in_turns
from benchmarks.skies import Size
from stream_assoc.service.daemon.heap import keep_freed_memory
from tests import services
from tests.integration.deployment import deploy

PLOT = Path(__file__).parents[1] / "docs" / "figures" / "growth.svg"
ROUNDS = 5
DAEMONS = (1, 2, 3, 4)
BACKLOG_VISITS = 6


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


def rates() -> list[float]:
    """Measure how many detector messages a second one to four daemons get through, on this machine."""
    measured_rates = []
    for n_daemons in DAEMONS:
        with contextlib.ExitStack() as stack:
            bootstrap, cache = stack.enter_context(services.kafka()), stack.enter_context(services.valkey())
            apdb = stack.enter_context(services.new_database(stack.enter_context(services.postgresql())))
            deployment = deploy(bootstrap, cache, apdb, **SECTIONS)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            listener = stack.enter_context(Listener.on(deployment))
            for index in range(n_daemons):
                stack.enter_context(serving(deployment, folder, f"daemon-{index}"))
            measured_rates.append(backlog_rate(listener, Sender(deployment), BACKLOG_VISITS))
        print(f"{n_daemons} daemons: {measured_rates[-1]:.1f} messages a second", flush=True)
    return measured_rates


def draw_rates(axes: Axes, messages_per_second: Sequence[float]) -> None:
    """Draw what the daemons got through, and what it would be if each brought as much as the first."""
    axes.plot(DAEMONS, messages_per_second, "o-", color="#1f6f8b", label="measured")
    axes.plot(DAEMONS, messages_per_second[0] * np.array(DAEMONS), ":", color="#888888", label="in proportion")
    axes.set_xticks(DAEMONS)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(f"daemons, all servers on the same {os.cpu_count()} cores")
    axes.set_ylabel("detector messages a second")
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False)


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
    every, of_daemons = all_series(), rates()
    plot = Plot(figsize=(8.4, 7.2), layout="constrained")
    *left, last = plot.subplots(2, 2).ravel()
    for axes, series in zip(left, every, strict=True):
        draw(axes, series)
    draw_rates(last, of_daemons)
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(path)
    print(f"Drawn in {path}")


if __name__ == "__main__":
    main()
