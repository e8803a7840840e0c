"""What a source reports while it is polled: its place in the group, lost partitions and gaps."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stream_assoc.messaging.kafka.client import LOGGER
from stream_assoc.messaging.kafka.gaps import Gap
from stream_assoc.messaging.marks import Partition, PartitionsHook

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


def _no_hook(partitions: frozenset[Partition]) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceHooks:
    """What a source calls, from the thread that polls or idles.

    Attributes
    ----------
    on_revoke : callable
        Called before partitions go to another member; still ours, so that what
        is in hand may be finished and committed.
    on_lost : callable
        Called after partitions went without notice; nothing may be committed.
    on_group_state : callable
        Receives, every two seconds, the place in the group and the state of the brokers.
    on_gap : callable
        Receives each gap: a partition that does not continue where it was read to.
    """

    on_revoke: PartitionsHook = _no_hook
    on_lost: PartitionsHook = _no_hook
    on_group_state: Callable[[GroupState], None] = lambda state: None
    on_gap: Callable[[Gap], None] = lambda gap: LOGGER.error("%s", gap)


NO_HOOKS: Final = SourceHooks()
