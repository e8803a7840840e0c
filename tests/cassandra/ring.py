"""A ring of real Apache Cassandra nodes, run from their jars by the installed Java."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

import yaml
from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import WhiteListRoundRobinPolicy
from cassandra.query import SimpleStatement

from stream_assoc.tools.embedded.kafka import free_ports
from stream_assoc.tools.embedded.process import EmbeddedServiceError, ServerProcess
from tests.cassandra.settings import (
    JVM_OPTIONS,
    LOGGING,
    MODULE_OPTIONS,
    NODE_PROPERTIES,
    node_settings,
)

START_TIMEOUT_SECONDS: Final = 180.0
LOOK_SECONDS: Final = 0.1

CLIENT_PORT: Final = 9042
STORAGE_PORT: Final = 7000
"""The same of all nodes, as clients and nodes expect: a ring has loopback addresses of its own."""


class Ring:
    """Nodes that form one cluster, each on an address of the loopback network.

    Parameters
    ----------
    jars : `pathlib.Path`
        Folder of Cassandra's jars.
    n_nodes : `int`
        How many nodes.
    jvm_options : `tuple` [`str`, ...]
        Of each node's Java.
    secured : callable, optional
        Returns further settings of the node of an address, and what a client of it is made with.
    has_tools : `bool`
        Whether nodes answer to `nodetool`.
    """

    def __init__(
        self,
        jars: Path,
        n_nodes: int,
        jvm_options: tuple[str, ...] = JVM_OPTIONS,
        secured: Callable[[str], tuple[Mapping[str, object], Mapping[str, object]]] = lambda _: ({}, {}),
        *,
        has_tools: bool = False,
    ) -> None:
        self._jars = jars
        self._secured = secured
        self._jvm_options = jvm_options
        self._tool_ports = free_ports(n_nodes) if has_tools else None
        self._folder = tempfile.TemporaryDirectory(prefix="stream_assoc_ring_")
        network = _free_network(n_nodes)
        self.addresses: Final = tuple(f"{network}.{number}" for number in range(1, n_nodes + 1))
        self._nodes = [self._node(number) for number in range(n_nodes)]

    def __enter__(self) -> Self:
        try:
            for number in range(len(self.addresses)):
                self.start(number)
            self._wait_until_whole()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def start(self, number: int) -> None:
        """Start a node, counted from 0; again after `kill`, with the same data."""
        address = self.addresses[number]
        self._nodes[number].start(lambda: _listens(address), START_TIMEOUT_SECONDS)

    def kill(self, number: int) -> None:
        """End a node with SIGKILL, as a crash would. Idempotent."""
        self._nodes[number].stop(stop_signal=signal.SIGKILL)

    def suspend(self, number: int) -> None:
        """Let a node stand still, as one that the network does not reach."""
        os.kill(self._pid(number), signal.SIGSTOP)

    def resume(self, number: int) -> None:
        """Let a suspended node go on."""
        os.kill(self._pid(number), signal.SIGCONT)

    @property
    def pids(self) -> tuple[int, ...]:
        """The process of each node."""
        return tuple(self._pid(number) for number in range(len(self.addresses)))

    def wait_until_reached(self, table: str) -> None:
        """Return once each node reaches all replicas of a table: seconds pass before all notice that one is back."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        everywhere = SimpleStatement(f"SELECT * FROM {table} LIMIT 1", consistency_level=ConsistencyLevel.ALL)
        for address in self.addresses:
            with _only(address) as cluster:
                session = cluster.connect()
                while not _answers(session, everywhere):
                    if time.monotonic() > deadline:
                        raise EmbeddedServiceError(f"the node at {address} does not reach all nodes of its ring")
                    time.sleep(LOOK_SECONDS)

    def nodetool(self, number: int, *arguments: str) -> str:
        """Run Cassandra's own `nodetool` on a node, and return what it prints."""
        assert self._tool_ports is not None
        java = shutil.which("java")
        assert java is not None
        place = ("-h", "127.0.0.1", "-p", str(self._tool_ports[number]))
        command = [
            java,
            *JVM_OPTIONS,
            *MODULE_OPTIONS,
            f"-Duser.home={self._folder.name}",
            f"-Dlogback.configurationFile={self.folder(number) / 'logback.xml'}",
            "-cp",
            f"{self._jars}/*",
            "org.apache.cassandra.tools.NodeTool",
            *place,
            *arguments,
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise EmbeddedServiceError(f"nodetool {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def folder(self, number: int) -> Path:
        """Return where a node keeps all that it has."""
        return Path(self._folder.name, f"node{number}")

    def _wait_until_whole(self) -> None:
        """Return once every node lists all others: a driver takes for the ring what its first node knows of it."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        for address in self.addresses:
            with _only(address, self._secured(address)[1]) as cluster:
                session = cluster.connect()
                while len(list(session.execute("SELECT peer FROM system.peers"))) < len(self.addresses) - 1:
                    if time.monotonic() > deadline:
                        raise EmbeddedServiceError(f"the node at {address} does not know all nodes of its ring")
                    time.sleep(LOOK_SECONDS)

    def _pid(self, number: int) -> int:
        pid = self._nodes[number].pid
        if pid is None:
            raise EmbeddedServiceError(f"node {number} of the ring does not run")
        return pid

    def _end(self) -> None:
        for number in range(len(self.addresses)):
            self.kill(number)
        self._folder.cleanup()

    def _node(self, number: int) -> ServerProcess:
        folder = self.folder(number)
        folder.mkdir()
        token = -(2**63) + number * (2**64 // len(self.addresses))
        further, _ = self._secured(self.addresses[number])
        settings = node_settings(folder, self.addresses[number], self.addresses[0], token) | dict(further)
        (folder / "cassandra.yaml").write_text(yaml.safe_dump(settings))
        (folder / "logback.xml").write_text(LOGGING)
        return ServerProcess(self._command(folder, number), folder / "node.log")

    def _command(self, folder: Path, number: int) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise EmbeddedServiceError("Apache Cassandra needs Java 17, and no `java` is on PATH")
        (agent,) = self._jars.glob("jamm-*.jar")
        properties = (
            *NODE_PROPERTIES,
            f"cassandra.config={(folder / 'cassandra.yaml').as_uri()}",
            f"cassandra.storagedir={folder}",
            f"cassandra.logdir={folder}",
            f"logback.configurationFile={folder / 'logback.xml'}",
            *(() if self._tool_ports is None else (f"cassandra.jmx.local.port={self._tool_ports[number]}",)),
        )
        return [
            java,
            *self._jvm_options,
            f"-javaagent:{agent}",
            *MODULE_OPTIONS,
            *(f"-D{assignment}" for assignment in properties),
            "-cp",
            f"{folder}:{self._jars}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]


def _free_network(n_nodes: int) -> str:
    """Return the first three numbers of loopback addresses that nobody listens on."""
    while True:
        network = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}"
        addresses = [f"{network}.{number}" for number in range(1, n_nodes + 1)]
        if all(_is_free(address, port) for address in addresses for port in (CLIENT_PORT, STORAGE_PORT)):
            return network


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _only(address: str, options: Mapping[str, object] = MappingProxyType({})) -> Cluster:
    """Return a client of one node, which is patient: a busy machine takes seconds to tell of all tables."""
    profile = ExecutionProfile(WhiteListRoundRobinPolicy([address]))
    return Cluster(
        [address],
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=START_TIMEOUT_SECONDS,
        control_connection_timeout=START_TIMEOUT_SECONDS,
        **options,
    )


def _answers(session: Session, statement: SimpleStatement) -> bool:
    try:
        session.execute(statement)
    except (DriverException, NoHostAvailable):
        return False
    return True


def _listens(address: str) -> bool:
    try:
        socket.create_connection((address, CLIENT_PORT), 0.5).close()
    except OSError:
        return False
    return True
