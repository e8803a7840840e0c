"""What a given maxmemory of Redis means in hits: simulated for a cadence of fields, printed and drawn.

Run as ``python -m benchmarks.cache_hits``; ``--check`` plays a small survey through the product's cache into a real
Valkey as well, and compares. `benchmarks.cache_size` measures the sizes that are assumed here.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot

from benchmarks.cache_check import compared
from benchmarks.cadences import FOLLOW_UP, RUBIN, SECONDS_A_DAY, ZTF, Cadence, visits_of
from benchmarks.eviction import Accesses, Policy, found_by_samples, lru_distances
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray

PLOT = Path(__file__).parents[1] / "docs" / "figures" / "cache-hits.svg"
GIB = 2.0**30

STATE_BYTES = 2_750
"""Default plugins, 60 points in six bands."""
TILE_BYTES, TILE_OBJECT_BYTES = 230, 48
SQUARE_DEGREES_A_TILE = 41_253.0 / (8 << 20)

RECURRING = 1.4
"""Objects of a field that any visit sees with a chance of a half, as a multiple of the sources of a visit."""
SEEN = 0.5
ENTRIES_A_VISIT = 12
"""In the simulation; each stands for many."""

NIGHTS, WARM_UP_NIGHTS = 30, 10
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7)
OBJECTS = (10**6, 10**7, 10**8, 10**9)
FOLLOWED_OBJECTS = (10**5, 10**6)
MEMORY_GIB = (1, 4, 16, 32, 64, 128, 256)

POLICIES = {
    "allkeys-lru": (Policy.LRU, 1),
    "allkeys-lfu": (Policy.LFU, 1),
    "allkeys-lfu, lfu-decay-time a day": (Policy.LFU, 1440),
    "allkeys-random": (Policy.RANDOM, 1),
}


@dataclass(frozen=True, slots=True)
class Survey:
    """What a survey asks of the cache.

    Attributes
    ----------
    accesses : `Accesses`
    is_tile : `numpy.ndarray` [bool], shape (n,)
    counts : `numpy.ndarray` [bool], shape (n,)
        Whether an access is measured, or fills the cache beforehand.
    """

    accesses: Accesses
    is_tile: BoolArray
    counts: BoolArray

    @property
    def whole(self) -> float:
        """Bytes of all tiles and states of its sky."""
        return float(self.accesses.size.sum())

    def rates(self, found: BoolArray) -> tuple[float, float]:
        """Return the shares of tiles and of states that were found."""
        return (
            float(found[self.counts & self.is_tile].mean()),
            float(found[self.counts & ~self.is_tile].mean()),
        )

    def lru(self, capacities: Sequence[float] | FloatArray) -> list[tuple[float, float]]:
        """Return the rates that exact LRU has with each capacity, bytes."""
        distances = lru_distances(self.accesses)
        return [self.rates(distances <= capacity) for capacity in capacities]

    def sampled(self, capacity: float, policy: str) -> tuple[float, float]:
        """Return the rates that Valkey has with this capacity, bytes."""
        return self.rates(found_by_samples(self.accesses, capacity, *POLICIES[policy]))


@dataclass(frozen=True, slots=True)
class Sky:
    """The entries of each field of a survey, scaled down: first tiles, then objects seen often, then the others."""

    cadence: Cadence
    n_objects: int

    @property
    def objects_a_field(self) -> float:
        """How many objects a field has."""
        return self.n_objects / self.cadence.n_fields

    @property
    def recurring(self) -> float:
        """Those that any visit sees with a chance of a half."""
        return min(self.objects_a_field, RECURRING * self.cadence.sources)

    @property
    def others_a_visit(self) -> float:
        """Sources of a visit that belong to any of the other objects."""
        others = self.objects_a_field - self.recurring
        return min(others, self.cadence.sources - SEEN * self.recurring)

    @property
    def scale(self) -> float:
        """How many tiles or states an entry stands for."""
        n_tiles = self.cadence.square_degrees / SQUARE_DEGREES_A_TILE
        return (n_tiles + SEEN * self.recurring + self.others_a_visit) / ENTRIES_A_VISIT

    @property
    def n_tiles(self) -> int:
        """Entries for the tiles of a field."""
        return max(1, round(self.cadence.square_degrees / SQUARE_DEGREES_A_TILE / self.scale))

    @property
    def n_states(self) -> tuple[int, int]:
        """Entries of a field for objects seen often, and for the others."""
        others = self.objects_a_field - self.recurring
        return max(1, round(self.recurring / self.scale)), round(others / self.scale)

    def sizes(self) -> FloatArray:
        """Return the bytes of each entry of a field."""
        tiles = self.cadence.square_degrees / SQUARE_DEGREES_A_TILE * TILE_BYTES
        tiles += self.objects_a_field * TILE_OBJECT_BYTES
        return np.repeat([tiles / self.n_tiles, self.scale * STATE_BYTES], [self.n_tiles, sum(self.n_states)])

    def of_visit(self, generator: np.random.Generator) -> IntArray:
        """Return the entries of its field that a visit asks for."""
        often, others = self.n_states
        seen = self.n_tiles + np.flatnonzero(generator.random(often) < SEEN)
        n_more = min(others, round(self.others_a_visit / self.scale))
        more = self.n_tiles + often + generator.permutation(others)[:n_more]
        return np.concatenate([np.arange(self.n_tiles), seen, more])


def survey(sky: Sky, nights: int = NIGHTS, warm_up: int = WARM_UP_NIGHTS) -> Survey:
    """Return what a survey asks for in these nights, after everything was asked for once, long ago."""
    generator = np.random.default_rng(2)
    visits = visits_of(sky.cadence, nights)
    sizes = sky.sizes()
    asked = [field * len(sizes) + sky.of_visit(generator) for field in visits.field.tolist()]
    lengths = [len(one) for one in asked]
    every = generator.permutation(len(sizes) * sky.cadence.n_fields)
    item = np.concatenate([every, *asked])
    second = np.concatenate([np.full(len(every), -30 * SECONDS_A_DAY), np.repeat(visits.second, lengths)])
    counts = second >= warm_up * SECONDS_A_DAY
    return Survey(
        Accesses(item, second, np.tile(sizes, sky.cadence.n_fields)), item % len(sizes) < sky.n_tiles, counts
    )


@dataclass(frozen=True, slots=True)
class Curves:
    """The shares of tiles and of states found with some shares of the memory that the whole sky takes.

    Attributes
    ----------
    sky : `Sky`
    memory : `numpy.ndarray` [float64], shape (n,)
        GiB.
    rates : `dict` [`str`, `list` [`tuple` [`float`, `float`]]]
        By policy.
    """

    sky: Sky
    memory: FloatArray
    rates: dict[str, list[tuple[float, float]]]

    @classmethod
    def of(cls, sky: Sky) -> Self:
        """Simulate each policy."""
        one = survey(sky)
        capacities = one.whole * np.array(SHARES)
        rates = {"exact LRU": one.lru(capacities)}
        rates |= {policy: [one.sampled(capacity, policy) for capacity in capacities] for policy in POLICIES}
        return cls(sky, capacities / GIB, rates)

    def show(self) -> None:
        """Print them as a table."""
        print(f"\n{self.sky.cadence.name}; {self.sky.n_objects:,d} objects; tiles / states found\n")
        print("| share | GiB | " + " | ".join(self.rates) + " |")
        print("|---" * (2 + len(self.rates)) + "|")
        for share, memory, *rates in zip(SHARES, self.memory.tolist(), *self.rates.values(), strict=True):
            print(f"| {share:.0%} | {memory:,.1f} | {' | '.join(map(_percent, rates))} |", flush=True)

    def draw(self, axes: Axes) -> None:
        """Draw the states found against memory."""
        for policy, rates in self.rates.items():
            style = ":" if policy == "exact LRU" else "o-"
            states = [100.0 * states for _, states in rates]
            axes.semilogx(self.memory, states, style, markersize=3.0, label=policy)
        axes.set_title(f"{self.sky.n_objects:,d} objects, Rubin's cadence", fontsize=9)
        axes.set_xlabel("maxmemory, GiB")
        axes.set_ylabel("states found, %")
        axes.set_ylim(0.0, 101.0)
        axes.grid(visible=True, which="both", alpha=0.25)


def _percent(rates: tuple[float, float]) -> str:
    return f"{100.0 * rates[0]:.0f} / {100.0 * rates[1]:.0f} %"


def show_memory(cadence: Cadence, objects: Sequence[int]) -> None:
    """Print what each maxmemory means with ``allkeys-lru``, for skies of so many objects."""
    surveys = [survey(Sky(cadence, n)) for n in objects]
    heads = [f"{n:,d} objects ({one.whole / GIB:,.0f} GiB)" for n, one in zip(objects, surveys, strict=True)]
    print(f"\n{cadence.name}; tiles / states found\n\n| maxmemory | {' | '.join(heads)} |")
    print("|---" * (1 + len(objects)) + "|")
    for memory in MEMORY_GIB:
        cells = " | ".join(_percent(one.sampled(memory * GIB, "allkeys-lru")) for one in surveys)
        print(f"| {memory} GiB | {cells} |", flush=True)


def main() -> None:
    """Simulate, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, default=PLOT, help="where the SVG goes")
    parser.add_argument("--check", action="store_true", help="compare with a real Valkey instead, in a minute or two")
    arguments = parser.parse_args()
    if arguments.check:
        for line in compared():
            print(line, flush=True)
        return
    show_memory(RUBIN, OBJECTS)
    show_memory(ZTF, OBJECTS[:3])
    show_memory(FOLLOW_UP, FOLLOWED_OBJECTS)
    plot = Plot(figsize=(8.4, 3.6), layout="constrained")
    for axes, n in zip(plot.subplots(1, 2), OBJECTS[2:], strict=True):
        curves = Curves.of(Sky(RUBIN, n))
        curves.show()
        curves.draw(axes)
    plot.axes[0].legend(frameon=False, fontsize=7)
    plot.savefig(arguments.plot)
    print(f"\nDrawn in {arguments.plot}")


if __name__ == "__main__":
    main()
