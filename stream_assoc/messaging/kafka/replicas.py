"""How topics lose what was acknowledged when a broker dies, by how they are replicated."""

from collections.abc import Mapping
from typing import Final

from confluent_kafka.admin import ClusterMetadata, TopicMetadata

MIN_INSYNC: Final = "min.insync.replicas"

_INTERNAL: Final = {
    "__consumer_offsets": "what the group has read",
    "__transaction_state": "the producers' transactions",
}


def cluster_losses(cluster: ClusterMetadata, replication_factor: int) -> list[str]:
    """Return, one line each, what the brokers themselves are too few or too careless for.

    Parameters
    ----------
    cluster : `confluent_kafka.admin.ClusterMetadata`
        The brokers that are up, and all topics that this user may see.
    replication_factor : `int`
        ``kafka.replication_factor``.
    """
    brokers = len(cluster.brokers)
    lines = []
    if replication_factor > brokers:
        lines.append(
            f"kafka.replication_factor is {replication_factor}, and {brokers} broker(s) are up: `topics init` cannot "
            "create topics; start the others, or lower it"
        )
    lines += [
        f"{name}: {what} is on one broker of {brokers}, and daemons stand still while it is away; "
        "move it to more with kafka-reassign-partitions"
        for name, what in _INTERNAL.items()
        if name in cluster.topics and brokers > 1 and _fewest(cluster.topics[name]) == 1
    ]
    return lines


def replica_losses(topic: TopicMetadata, config: Mapping[str, str | None], wanted: int) -> list[str]:
    """Return, one line each, how a topic would lose what it has acknowledged, or take nothing.

    Parameters
    ----------
    topic : `confluent_kafka.admin.TopicMetadata`
        Its partitions and their replicas.
    config : `~collections.abc.Mapping` [`str`, `str` or `None`]
        Kafka's configuration of the topic, defaults included.
    wanted : `int`
        ``kafka.replication_factor``.
    """
    replicas = _fewest(topic)
    in_sync = int(config.get(MIN_INSYNC) or 1)
    lines = []
    if replicas < wanted:
        lines.append(
            f"keeps {replicas} of the {wanted} replicas of kafka.replication_factor; add some with "
            "kafka-reassign-partitions"
        )
    if in_sync > replicas:
        lines.append(f"takes no message: {MIN_INSYNC} is {in_sync} of {replicas} replica(s); set it to {replicas}")
    if replicas > 1 and in_sync == 1:
        lines.append(
            f"acknowledges what only one of its {replicas} replicas has, and loses it with that broker; "
            f"set {MIN_INSYNC}={replicas // 2 + 1}"
        )
    if replicas > 1 and config.get("unclean.leader.election.enable") == "true":
        lines.append(
            "lets a broker lead that has missed messages, and drops them; set unclean.leader.election.enable=false"
        )
    return [f"{topic.topic}: {line}" for line in lines]


def _fewest(topic: TopicMetadata) -> int:
    """Return the replicas of the partition that has the fewest."""
    return min((len(one.replicas) for one in topic.partitions.values()), default=0)
