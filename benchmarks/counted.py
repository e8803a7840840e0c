"""Work counted instead of timed: what no load of the machine can change."""

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions this thread calls for a work that is warm, those of C included.

    A loop over sources or objects in Python shows as so many calls more.
    """
    n_calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal n_calls
        n_calls += event in ("call", "c_call")

    work()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return n_calls


def peak_bytes_of(work: Callable[[], object]) -> int:
    """Return the most memory that Python and numpy hold for a work that is warm.

    An array of sources times objects shows as its square.
    """
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
