"""Applying stops long before deleted rows could come back."""

from collections.abc import Sequence
from itertools import count
from typing import cast

import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.applier import APPLYING_SECONDS, STRETCH, Applier
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.requests import Request


class Node:
    """Takes requests, each stretch of which takes a time on the client's clock."""

    def __init__(self) -> None:
        self.n_taken = 0

    def send(self, requests: Sequence[Request]) -> None:
        self.n_taken += len(requests)


def write(node: Node, n_requests: int, step_seconds: float) -> None:
    ticks = count()
    applier = Applier(cast("Connection", node), cast("Groups", None), lambda: step_seconds * next(ticks))
    applier.write([cast("Request", None)] * n_requests)


@pytest.mark.rules("ApplyingStops")
def test_what_takes_too_long_is_left_to_whoever_comes_next() -> None:
    node = Node()
    with pytest.raises(ApdbUnavailableError, match="not sent within 3600 s"):
        write(node, 4 * STRETCH, 0.4 * APPLYING_SECONDS)
    assert node.n_taken == 2 * STRETCH


def test_what_is_sent_in_time_is_sent_whole() -> None:
    node = Node()
    write(node, 4 * STRETCH, 0.2 * APPLYING_SECONDS)
    assert node.n_taken == 4 * STRETCH
