"""A client whose clock is not that of a node writes nothing."""

from itertools import count
from typing import cast

import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.clocks import CHECK_SECONDS, MAX_SECONDS, ServerClock
from stream_assoc.stores.apdb.cassandra.connection import Connection

SERVER_SECONDS = 1_800_000_000.0


class Node:
    """Answers what its clock says, and counts how often it was asked."""

    def __init__(self) -> None:
        self.n_asked = 0

    def read(self, _statement: str) -> list[tuple[int]]:
        self.n_asked += 1
        return [(int(1000 * SERVER_SECONDS),)]


def clock(node: Node, apart: float, step_seconds: float = 0.0) -> ServerClock:
    ticks = count()
    return ServerClock(
        cast("Connection", node), now=lambda: SERVER_SECONDS + apart, monotonic=lambda: step_seconds * next(ticks)
    )


@pytest.mark.rules("ClockIsBounded")
@pytest.mark.parametrize("apart", [-MAX_SECONDS - 1, MAX_SECONDS + 1])
def test_a_clock_that_is_off_is_refused(apart: float) -> None:
    with pytest.raises(ApdbUnavailableError, match="differ by 6 s"):
        clock(Node(), apart).check()


@pytest.mark.parametrize("apart", [-MAX_SECONDS + 1, 0.0, MAX_SECONDS - 1])
def test_a_clock_that_is_about_right_is_not(apart: float) -> None:
    clock(Node(), apart).check()


def test_clocks_are_compared_from_time_to_time() -> None:
    node = Node()
    checked = clock(node, 0.0, CHECK_SECONDS / 4)
    for _ in range(8):
        checked.check()
    assert node.n_asked == 2
