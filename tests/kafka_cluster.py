"""A cluster of several Kafka brokers on this machine, for what one broker cannot show."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from stream_assoc.tools.embedded.kafka import START_TIMEOUT_SECONDS, EmbeddedKafka
from stream_assoc.tools.embedded.process import EmbeddedServiceError

POLL_INTERVAL_SECONDS: Final = 0.05


def replicated_settings(brokers: int) -> dict[str, str]:
    """Return broker settings for that many nodes: everything is on each, and more than half must have a message.

    A broker that died is replaced in the lead after seconds.
    """
    in_sync = str(brokers // 2 + 1)
    return {
        "offsets.topic.replication.factor": str(brokers),
        "transaction.state.log.replication.factor": str(brokers),
        "transaction.state.log.min.isr": in_sync,
        "min.insync.replicas": in_sync,
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


class KafkaNode(EmbeddedKafka):
    """One broker of a cluster, controller too. Others are needed for it to answer, so its start waits for nothing."""

    @property
    def controller(self) -> str:
        """Where the other controllers connect."""
        return f"{self.bootstrap_servers.rpartition(':')[0]}:{self._controller_port}"

    def join(self, node_id: int, voters: str, cluster_id: str) -> None:
        """Be this node of a cluster; before the context is entered."""
        self._cluster_id = cluster_id
        self._extra_settings = {
            "node.id": str(node_id),
            "controller.quorum.voters": voters,
            **self._extra_settings,
        }

    @property
    def cluster_id(self) -> str:
        """A random name, that of the cluster if this is its first node."""
        return self._cluster_id

    def _is_ready(self) -> bool:
        return True


class EmbeddedKafkaCluster:
    """Real brokers that replicate, each a process that can be killed and started again.

    Parameters
    ----------
    jars : `pathlib.Path`
        Folder of Kafka's jars, as of `EmbeddedKafka`.
    brokers : `int`
        How many.
    settings : `Mapping` [`str`, `str`], optional
        Broker settings over those of `replicated_settings`.

    Attributes
    ----------
    nodes : `tuple` [`KafkaNode`, ...]
        The brokers; the first has the id 1.

    Raises
    ------
    EmbeddedServiceError
        If there is no ``java``, or the brokers do not find each other.
    """

    def __init__(self, jars: Path, brokers: int = 3, settings: Mapping[str, str] | None = None) -> None:
        all_settings = replicated_settings(brokers) | dict(settings or {})
        self.nodes = tuple(KafkaNode(jars, all_settings) for _ in range(brokers))
        voters = ",".join(f"{number}@{node.controller}" for number, node in enumerate(self.nodes, 1))
        for number, node in enumerate(self.nodes, 1):
            node.join(number, voters, self.nodes[0].cluster_id)
        self._stack = ExitStack()

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: to any of the brokers."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self.wait_until_whole()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # At once: one that is asked to stop would hand over to others that are gone.
        for node in self.nodes:
            node.kill()
        self._stack.close()

    def start(self, node: KafkaNode) -> None:
        """Start one of the nodes again, and wait until every partition is on every broker that it belongs on."""
        node.start()
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait until every broker is there and every replica in sync.

        Raises
        ------
        EmbeddedServiceError
            If that takes too long.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not all(self._is_whole(seen) for seen in self._views()):
            if time.monotonic() > deadline:
                raise EmbeddedServiceError(f"the {len(self.nodes)} brokers of Kafka have not come together")
            time.sleep(POLL_INTERVAL_SECONDS)

    def leader_of(self, topic: str, partition: int) -> KafkaNode:
        """Return the broker that leads a partition.

        Raises
        ------
        EmbeddedServiceError
            If none does.
        """
        for seen in self._views():
            if seen is not None and (leader := seen.topics[topic].partitions[partition].leader) > 0:
                return self.nodes[leader - 1]
        raise EmbeddedServiceError(f"no broker leads {topic}[{partition}]")

    def _views(self) -> Sequence[ClusterMetadata | None]:
        """Return what each broker says of the cluster; `None` where it does not answer."""
        return [_view_of(node) for node in self.nodes]

    def _is_whole(self, seen: ClusterMetadata | None) -> bool:
        if seen is None or len(seen.brokers) < len(self.nodes):
            return False
        partitions = [one for topic in seen.topics.values() for one in topic.partitions.values()]
        return all(one.leader > 0 and len(one.isrs) == len(one.replicas) for one in partitions)


def _view_of(node: KafkaNode) -> ClusterMetadata | None:
    client = AdminClient({"bootstrap.servers": node.bootstrap_servers, "log_level": 0})
    try:
        return client.list_topics(timeout=2.0)
    except KafkaException:
        return None
