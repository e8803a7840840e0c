"""Two pieces of work timed side by side, in turns, so that a noisy machine disturbs both."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

LATEST = Path(__file__).parents[1] / ".cache" / "benchmarks" / "latest.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the table.

    Attributes
    ----------
    name : `str`
        What was measured.
    value : `float`
        The ratio, or the quantity where there is nothing to compare with.
    unit : `str`
        ``x`` for a ratio.
    bar : `float` or `None`
        What it must not exceed, or must reach; `None` for a figure that is only shown.
    at_least : `bool`
        Whether the bar is a least value.
    details : `dict` [`str`, `float`]
        What the figure was made of, seconds unless named otherwise.
    is_explained : `bool`
        Whether docs/performance.md says why the bar cannot be met. Missing it then fails no run.
    """

    name: str
    value: float
    unit: str = "x"
    bar: float | None = None
    at_least: bool = False
    details: dict[str, float] = field(default_factory=dict)
    is_explained: bool = False

    @property
    def holds(self) -> bool:
        """Whether the bar is met."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar


@dataclass(frozen=True, slots=True)
class Timed:
    """The least time each of some works took, seconds, by name."""

    seconds: dict[str, float]

    def ratio(self, work: str, reference: str) -> float:
        """Return how many times as long one took as the other."""
        return self.seconds[work] / self.seconds[reference]


def in_turns(rounds: int, clock: Callable[[], float] = time.perf_counter, **works: Callable[[], object]) -> Timed:
    """Time each work in each of so many rounds, after one that does not count.

    The least time is kept: what else runs on the machine only ever adds. With
    `time.thread_time` as the clock, waiting for a processor is not counted.
    """
    for work in works.values():
        work()
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            start = clock()
            work()
            seconds[name] = min(seconds[name], clock() - start)
    return Timed(seconds)


def paired_ratio(
    rounds: int, clock: Callable[[], float], work: Callable[[], object], reference: Callable[[], object]
) -> float:
    """Return the median over so many rounds of how many times as long a work took as the one right after it.

    What disturbs the machine for longer than a pair disturbs both of it, and
    what is shorter only some of the pairs.
    """
    work()
    reference()
    ratios = []
    for _ in range(rounds):
        times = [clock()]
        for one in (work, reference):
            one()
            times.append(clock())
        ratios.append((times[1] - times[0]) / (times[2] - times[1]))
    return statistics.median(ratios)


def write(figures: list[Figure], machine: dict[str, str], path: Path = LATEST) -> None:
    """Write the figures of a run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def read(path: Path = LATEST) -> tuple[list[Figure], dict[str, str]]:
    """Return the figures and the machine of the latest run."""
    document = json.loads(path.read_text())
    return [Figure(**figure) for figure in document["figures"]], document["machine"]
