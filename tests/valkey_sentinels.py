"""A real Valkey with a replica, and three Sentinels that watch them."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.exceptions import ConnectionError as NotConnectedError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as SilentError

from stream_assoc.tools.embedded.kafka import free_ports
from stream_assoc.tools.embedded.process import ServerProcess
from stream_assoc.tools.embedded.valkey import START_TIMEOUT_SECONDS, program

SERVICE: Final = "night-1"
N_SERVERS: Final = 2
N_SENTINELS: Final = 3
DOWN_AFTER_MILLISECONDS: Final = 500
"""A server that is silent for so long is taken for dead."""

DEADLINE_SECONDS: Final = 60.0


class ValkeySentinels:
    """Two servers and three Sentinels; at first the servers' number 0 is the primary.

    Parameters
    ----------
    password, sentinel_password : `str`, optional
        What the servers and the Sentinels ask for.
    """

    def __init__(self, password: str | None = None, sentinel_password: str | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stream_assoc_valkey_sentinels_")
        ports = free_ports(N_SERVERS + N_SENTINELS)
        self.ports: Final = ports[:N_SERVERS]
        self.sentinel_ports: Final = ports[N_SERVERS:]
        self._password, self._sentinel_password = password, sentinel_password
        self._processes: dict[int, ServerProcess] = {}
        self._clients = {port: self._client(port, password) for port in self.ports}
        self._clients |= {port: self._client(port, sentinel_password) for port in self.sentinel_ports}

    def __enter__(self) -> Self:
        self.start(0)
        self.start(1, follows=0)
        for number in range(N_SENTINELS):
            self.start_sentinel(number)
        self.wait_until_whole()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()
        for process in self._processes.values():
            process.stop(stop_signal=signal.SIGKILL)
        self._folder.cleanup()

    @property
    def hosts(self) -> str:
        """The Sentinels, as in a URL."""
        return ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)

    @property
    def url(self) -> str:
        """Where clients ask for the primary."""
        return f"redis://{self.hosts}/0"

    @property
    def urls(self) -> tuple[str, ...]:
        """The same, one for each Sentinel."""
        return tuple(f"redis://127.0.0.1:{port}/0" for port in self.sentinel_ports)

    def start(self, number: int, follows: int | None = None) -> None:
        """Start a server, empty; the Sentinels make one that comes back a replica."""
        settings: dict[str, object] = {
            "save": '""',
            "appendonly": "no",
            "maxmemory": "200mb",
            "maxmemory-policy": "allkeys-lru",
            "repl-diskless-sync-delay": 0,
        }
        if follows is not None:
            settings["replicaof"] = f"127.0.0.1 {self.ports[follows]}"
        if self._password is not None:
            settings |= {"requirepass": self._password, "masterauth": self._password}
        self._run(self.ports[number], settings, [])

    def start_sentinel(self, number: int) -> None:
        """Start a Sentinel, which knows what others tell it within seconds."""
        settings: dict[str, object] = {
            "sentinel myid": _name(self.sentinel_ports[number]),
            f"sentinel monitor {SERVICE} 127.0.0.1": f"{self.ports[0]} 2",
            f"sentinel known-replica {SERVICE} 127.0.0.1": self.ports[1],
            **{
                f"sentinel known-sentinel {SERVICE} 127.0.0.1 {port}": _name(port)
                for port in self.sentinel_ports
                if port != self.sentinel_ports[number]
            },
            f"sentinel down-after-milliseconds {SERVICE}": DOWN_AFTER_MILLISECONDS,
            # How long until Sentinels that have not agreed vote again.
            f"sentinel failover-timeout {SERVICE}": 1000,
        }
        if self._password is not None:
            settings[f"sentinel auth-pass {SERVICE}"] = self._password
        if self._sentinel_password is not None:
            settings |= {"requirepass": self._sentinel_password, "sentinel sentinel-pass": self._sentinel_password}
        self._run(self.sentinel_ports[number], settings, ["--sentinel"])

    def kill(self, port: int) -> None:
        """End a server or Sentinel at once."""
        self._processes.pop(port).stop(stop_signal=signal.SIGKILL)

    def freeze(self, port: int) -> None:
        """Let a server or Sentinel stand still; its kernel answers for it."""
        self._signal(port, signal.SIGSTOP)

    def thaw(self, port: int) -> None:
        """Let it go on."""
        self._signal(port, signal.SIGCONT)

    def ask(self, port: int, *command: Any) -> Any:
        """Return an answer to a command."""
        return self._clients[port].execute_command(*command)

    def primary(self) -> int:
        """Return the port of the primary, by most of the Sentinels that run."""
        told = [state["port"] for state in self._states()]
        return int(max(told, key=told.count))

    def await_failover(self, old: int) -> int:
        """Return the port of the primary when all Sentinels that run know that it is another."""
        self.wait_until(lambda: all(state["port"] != old and state["is_master"] for state in self._states()))
        new = self.primary()
        self.wait_until(lambda: self._role(new) == "master")
        return new

    def wait_until_whole(self) -> None:
        """Return when every Sentinel knows the others and both servers, and the replica follows."""
        self.wait_until(lambda: all(map(_is_whole, self._states())) and self._is_followed(self.primary()))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when something is so."""
        deadline, pause = time.monotonic() + DEADLINE_SECONDS, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "the servers have not come to that in time"
            pause.wait(0.02)

    def _states(self) -> list[Mapping[str, Any]]:
        running = [port for port in self.sentinel_ports if port in self._processes]
        services: list[Any] = [self._clients[port].sentinel_masters() for port in running]
        return [of_one[SERVICE] for of_one in services]

    def _is_followed(self, primary: int) -> bool:
        (other,) = (port for port in self.ports if port != primary)
        return self._role(other) == "slave" and self._clients[other].info("replication")["master_link_status"] == "up"

    def _role(self, port: int) -> str:
        return str(self._clients[port].info("replication")["role"])

    def _run(self, port: int, settings: Mapping[str, object], words: list[str]) -> None:
        folder = Path(self._folder.name, str(port))
        folder.mkdir(exist_ok=True)
        all_settings = {"port": port, "bind": "127.0.0.1", "dir": folder, **settings}
        lines = [f"{name} {value}" for name, value in all_settings.items()]
        configuration = folder / "valkey.conf"
        # A Sentinel writes what it learns there.
        configuration.write_text("\n".join(lines) + "\n")
        process = ServerProcess([program(), str(configuration), *words], folder / "valkey.log")
        process.start(lambda: self._answers(port), START_TIMEOUT_SECONDS)
        self._processes[port] = process

    def _signal(self, port: int, what: signal.Signals) -> None:
        pid = self._processes[port].pid
        assert pid is not None, f"nothing runs on {port}"
        os.kill(pid, what)

    def _answers(self, port: int) -> bool:
        try:
            return bool(self._clients[port].ping())
        except (NotConnectedError, ResponseError, SilentError):
            return False

    @staticmethod
    def _client(port: int, password: str | None) -> redis.Redis:
        return redis.Redis(port=port, password=password, socket_timeout=5.0)


def _name(port: int) -> str:
    """Return what Sentinels call the one of this port."""
    return f"{port:040x}"


def _is_whole(state: Mapping[str, Any]) -> bool:
    is_up = state["is_master"] and not state["is_sdown"]
    return bool(is_up and state["num-other-sentinels"] == N_SENTINELS - 1 and state["num-slaves"] == N_SERVERS - 1)
