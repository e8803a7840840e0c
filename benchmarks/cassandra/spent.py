"""What something cost: seconds of the clock, and of the processors of the client and of the nodes."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil

from tests.cassandra.ring import Ring


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds.

    Attributes
    ----------
    clock : `float`
        Of the clock on the wall, which other work on the machine makes longer.
    client, nodes : `float`
        Of the processors, by this process, and by all nodes together.
    """

    clock: float = 0.0
    client: float = 0.0
    nodes: float = 0.0

    @property
    def processors(self) -> float:
        """Of all processors together."""
        return self.client + self.nodes

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.clock + other.clock, self.client + other.client, self.nodes + other.nodes)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.clock - other.clock, self.client - other.client, self.nodes - other.nodes)

    def __str__(self) -> str:
        return f"{self.clock:.2f} s (processors: client {self.client:.2f}, nodes {self.nodes:.2f})"


class Meter:
    """Measures what is spent on a ring.

    Parameters
    ----------
    ring : `Ring`
    """

    def __init__(self, ring: Ring) -> None:
        self._nodes = [psutil.Process(pid) for pid in ring.pids]

    def now(self) -> Spent:
        """Return all that has been spent so far."""
        times = os.times()
        nodes = sum(sum(node.cpu_times()[:2]) for node in self._nodes)
        return Spent(time.monotonic(), times.user + times.system, nodes)

    @contextlib.contextmanager
    def spent(self, tell: Callable[[Spent], None]) -> Iterator[None]:
        """Tell what was spent inside."""
        before = self.now()
        yield
        tell(self.now() - before)
