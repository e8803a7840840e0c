"""A real Valkey cluster: three primaries, and a replica of each."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.exceptions import ConnectionError as NotConnectedError
from redis.exceptions import ResponseError

from stream_assoc.tools.embedded.kafka import free_ports
from stream_assoc.tools.embedded.process import ServerProcess
from stream_assoc.tools.embedded.valkey import START_TIMEOUT_SECONDS, program

N_PRIMARIES: Final = 3
N_SLOTS: Final = 16384
NODE_TIMEOUT_MILLISECONDS: Final = 500
"""A node that is silent for so long is taken for dead."""

DEADLINE_SECONDS: Final = 60.0


class ValkeyCluster:
    """Six servers; the last three are replicas of the first three."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stream_assoc_valkey_cluster_")
        ports = free_ports(4 * N_PRIMARIES)
        self.ports: Final = ports[: 2 * N_PRIMARIES]
        self._bus_ports = ports[2 * N_PRIMARIES :]
        self._processes: dict[int, ServerProcess] = {}
        self._clients = [redis.Redis(port=port, socket_timeout=5.0) for port in self.ports]

    def __enter__(self) -> Self:
        for number in range(2 * N_PRIMARIES):
            self.start(number)
        step = -(-N_SLOTS // N_PRIMARIES)
        for number in range(N_PRIMARIES):
            # They would agree on different ones in time; the failover of a replica needs them.
            self.ask(number, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            self.ask(number, "CLUSTER", "ADDSLOTSRANGE", number * step, min((number + 1) * step, N_SLOTS) - 1)
        for number in range(1, 2 * N_PRIMARIES):
            self.ask(0, "CLUSTER", "MEET", "127.0.0.1", self.ports[number], self._bus_ports[number])
        self._wait_until(lambda: all(self._knows(number) == 2 * N_PRIMARIES for number in range(2 * N_PRIMARIES)))
        for number in range(N_PRIMARIES):
            self.ask(number + N_PRIMARIES, "CLUSTER", "REPLICATE", self.name(number))
        self.wait_until_whole()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        for number in list(self._processes):
            self.kill(number)
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Where clients find the first node, and by it all others."""
        return self.urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients find each node."""
        return tuple(f"redis://127.0.0.1:{port}/0" for port in self.ports)

    def start(self, number: int) -> None:
        """Start a node; again after `kill`, empty, but with its name and place in the cluster."""
        folder = Path(self._folder.name, str(number))
        folder.mkdir(exist_ok=True)
        settings: dict[str, object] = {
            "port": self.ports[number],
            "cluster-port": self._bus_ports[number],
            "bind": "127.0.0.1",
            "dir": folder,
            "save": "",
            "appendonly": "no",
            "maxmemory": "200mb",
            "maxmemory-policy": "allkeys-lru",
            "cluster-enabled": "yes",
            "cluster-node-timeout": NODE_TIMEOUT_MILLISECONDS,
            # A replica with old data takes over too: what it lacks is rebuilt.
            "cluster-replica-validity-factor": 0,
            "repl-diskless-sync-delay": 0,
        }
        command = [program(), *(str(word) for name, value in settings.items() for word in (f"--{name}", value))]
        process = ServerProcess(command, folder / "valkey.log")
        process.start(lambda: self._answers(number), START_TIMEOUT_SECONDS)
        self._processes[number] = process

    def kill(self, number: int) -> None:
        """End a node at once."""
        self._processes.pop(number).stop(stop_signal=signal.SIGKILL)

    def ask(self, number: int, *command: Any) -> Any:
        """Return a node's answer to a command."""
        return self._clients[number].execute_command(*command)

    def name(self, number: int) -> str:
        """Return what the cluster calls a node."""
        return str(self.ask(number, "CLUSTER", "MYID").decode())

    def is_primary(self, number: int) -> bool:
        """Tell whether a node takes writes."""
        return bool(self._clients[number].info("replication")["role"] == "master")

    def leave_behind(self, number: int) -> None:
        """Let the replica of a primary have all that is written until now, and nothing from now on."""
        replica = number + N_PRIMARIES
        self._wait_until(
            lambda: (
                self._clients[replica].info("replication")["slave_repl_offset"]
                >= self._clients[number].info("replication")["master_repl_offset"]
            )
        )
        self.freeze(replica)
        # What is on its way would be read after the primary's death.
        self.ask(number, "CLIENT", "KILL", "TYPE", "replica")

    def fail_over(self, number: int) -> None:
        """Kill a primary, and return when all know that its replica, left behind or not, has taken its place."""
        self.kill(number)
        self.thaw(number + N_PRIMARIES)
        self.await_failover(number)

    def freeze(self, number: int) -> None:
        """Let a node stand still; its kernel answers for it."""
        self._signal(number, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """Let it go on."""
        self._signal(number, signal.SIGCONT)

    def await_failover(self, number: int) -> None:
        """Return when all nodes but this one know that its replica has taken its place."""
        others = [one for one in self._processes if one != number]
        # Clients ask any of them where slots are.
        self._wait_until(lambda: all(self._is_ok(one) and not self._sends_to(one, number) for one in others))

    def begin_to_move(self, slot: int, source: int, target: int) -> None:
        """Let a slot be moved: who asks the source for a key that is not there is sent to the target, once."""
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.name(source))
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.name(target))

    def move_keys(self, slot: int, source: int, target: int, n_keys: int = 1000) -> int:
        """Move keys of a slot that is being moved; return how many there were."""
        keys = self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, n_keys)
        if keys:
            self.ask(source, "MIGRATE", "127.0.0.1", self.ports[target], "", 0, 5000, "REPLACE", "KEYS", *keys)
        return len(keys)

    def end_move(self, slot: int, source: int, target: int) -> None:
        """Give a slot to the target: who still asks the source is sent there for good."""
        for number in (target, source):
            self.ask(number, "CLUSTER", "SETSLOT", slot, "NODE", self.name(target))

    def move(self, slot: int, source: int, target: int) -> None:
        """Move a slot and its keys."""
        self.begin_to_move(slot, source, target)
        while self.move_keys(slot, source, target):
            pass
        self.end_move(slot, source, target)

    def wait_until_whole(self) -> None:
        """Return when every slot is served and every replica follows its primary."""
        self._wait_until(
            lambda: all(
                self._is_ok(number) and (self.is_primary(number) or self._follows(number))
                for number in range(2 * N_PRIMARIES)
            )
        )

    def _signal(self, number: int, what: signal.Signals) -> None:
        pid = self._processes[number].pid
        assert pid is not None, f"node {number} does not run"
        os.kill(pid, what)

    def _follows(self, number: int) -> bool:
        return bool(self._clients[number].info("replication").get("master_link_status") == "up")

    def _is_ok(self, number: int) -> bool:
        return bool(self.ask(number, "CLUSTER INFO")["cluster_state"] == "ok")

    def _sends_to(self, number: int, other: int) -> bool:
        """Tell whether a node says that another one has slots."""
        primaries = [primary for _start, _end, primary, *_replicas in self.ask(number, "CLUSTER SLOTS")]
        return any(port == self.ports[other] for _host, port, *_rest in primaries)

    def _knows(self, number: int) -> int:
        return int(self.ask(number, "CLUSTER INFO")["cluster_known_nodes"])

    def _answers(self, number: int) -> bool:
        try:
            return bool(self._clients[number].ping())
        except (NotConnectedError, ResponseError):
            return False

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline, pause = time.monotonic() + DEADLINE_SECONDS, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "the cluster has not come to that in time"
            pause.wait(0.02)
