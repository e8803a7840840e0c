"""What librdkafka's own statistics tell of a consumer's place in its group."""

import json
from dataclasses import dataclass
from typing import Final

STATISTICS_MS: Final = 2000
"""How often they are given, as long as somebody polls."""


@dataclass(frozen=True, slots=True)
class GroupState:
    """A consumer's place in its group, and whether it reaches the brokers.

    Attributes
    ----------
    joined : `bool`
        Whether it is a member and no rebalance is under way. A member may have no partition.
    n_partitions : `int`
        Partitions assigned to it.
    n_rebalances : `int`
        Rebalances since the client was made.
    n_brokers_up : `int`
        Brokers it is connected with.
    """

    joined: bool
    n_partitions: int
    n_rebalances: int
    n_brokers_up: int


def group_state(statistics: str) -> GroupState:
    """Return what a statistics document of librdkafka says of the group; see its STATISTICS.md.

    Parameters
    ----------
    statistics : `str`
        JSON, as ``stats_cb`` is given it.
    """
    document = json.loads(statistics)
    group = document.get("cgrp", {})
    return GroupState(
        joined=group.get("state") == "up" and group.get("join_state") == "steady",
        n_partitions=int(group.get("assignment_size", 0)),
        n_rebalances=int(group.get("rebalance_cnt", 0)),
        n_brokers_up=sum(broker.get("state") == "UP" for broker in document.get("brokers", {}).values()),
    )
