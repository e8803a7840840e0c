"""Hosts on one machine: network namespaces on a bridge, each with an address, no loopback in common, and no file.

A network that loses what one host sends to another is one where the second is
looked for at an Ethernet address that nobody has. Nobody is told, new
connections and old ones suffer alike, and the way back stays as it was. A
route to a black hole would not do: the kernel tells the sender.
"""

import ipaddress
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stream_assoc.tools.embedded.process import Place
from tests.chaos.slow_link import slow_link

NETWORKS: Final = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for tests of networks (RFC 2544): nobody's own."""

NOWHERE: Final = "02:00:00:00:00:01"
"""An Ethernet address that nobody has."""

INTERFACE: Final = "eth0"

PRIVATE: Final = 'mount -t tmpfs host /tmp && mount -t tmpfs host /dev/shm && cd /tmp && exec "$@"'
"""What a host shares with no other one; `ip netns exec` has made a namespace of mounts."""


class HostsUnavailableError(Exception):
    """No hosts can be made on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a `Bridge`.

    Attributes
    ----------
    name : `str`
        Of its network namespace.
    address : `str`
        Where the others reach it.
    """

    name: str
    address: str

    @property
    def place(self) -> Place:
        """Where a server of this host runs, for `stream_assoc.tools.embedded`."""
        return Place(self.address, ("ip", "netns", "exec", self.name))

    def command(self, *program: str) -> list[str]:
        """Return the command that runs a program here, in a /tmp of its own, no longer than this process lives."""
        return [*self.place.enter, "setpriv", "--pdeathsig", "KILL", "sh", "-c", PRIVATE, "sh", *program]

    def lose(self, other: "Host") -> None:
        """Let nothing that this host sends to another one arrive any more."""
        _ip("-n", self.name, *_neighbour("replace", other), "lladdr", NOWHERE, "nud", "permanent")

    def find(self, other: "Host") -> None:
        """Let what this host sends arrive again, what it sends anew by itself included."""
        _ip("-n", self.name, *_neighbour("del", other))

    @contextmanager
    def far_away(self, seconds: float, loss: float) -> Iterator[None]:
        """Let everything take so long to and from here, and a fraction of it get lost."""
        bridge = json.loads(_ip("-j", "link", "show", self.name))[0]["master"]
        near, far = f"{self.name}n", f"{self.name}f"
        _ip("link", "add", near, "type", "veth", "peer", "name", far)
        try:
            _ip("link", "set", far, "up")
            _ip("link", "set", self.name, "nomaster")
            with slow_link(self.name, far, seconds, loss):
                _ip("link", "set", near, "master", bridge, "up")
                yield
        finally:
            _ip("link", "del", near)
            _ip("link", "set", self.name, "master", bridge)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let every process of this host stand still."""
        pids = self._pids()
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    def remove(self) -> None:
        """End what runs here, and forget the host."""
        _signal(self._pids(), signal.SIGKILL)
        _ip("netns", "del", self.name)

    def _pids(self) -> list[int]:
        return [int(word) for word in _ip("netns", "pids", self.name).split()]


class Bridge:
    """What connects hosts with one another and with this machine. It takes root and ``ip`` (iproute2).

    Raises
    ------
    HostsUnavailableError
        On entering, if this machine or this user cannot make one.
    """

    def __init__(self) -> None:
        # Two runs at once have other names, and other networks of some five hundred.
        self._name = f"sa{secrets.token_hex(4)}"
        self._stack = ExitStack()
        self._n_hosts = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self._network = _free_network()
                _ip("link", "add", self._name, "type", "bridge")
                stack.callback(_ip, "link", "del", self._name)
                self._add_address(self._name, 1)
                _ip("link", "set", self._name, "up")
                # Whether there can be hosts, and programs on them, turns out with the first one.
                with ExitStack() as trial:
                    host = self._make_host(trial, f"{self._name}t", 2)
                    subprocess.run(host.command("true"), check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                why = getattr(error, "stderr", None) or error
                raise HostsUnavailableError(f"no network namespaces here (as root, with iproute2): {why}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def host(self) -> Host:
        """Make a host, which is there until the bridge is left."""
        self._n_hosts += 1
        return self._make_host(self._stack, f"{self._name}-{self._n_hosts}", 10 + self._n_hosts)

    def _make_host(self, stack: ExitStack, name: str, number: int) -> Host:
        host = Host(name, str(self._network[number]))
        _ip("netns", "add", name)
        stack.callback(host.remove)
        _ip("link", "add", name, "type", "veth", "peer", "name", INTERFACE, "netns", name)
        _ip("link", "set", name, "master", self._name, "up")
        self._add_address(INTERFACE, number, "-n", name)
        for interface in ("lo", INTERFACE):
            _ip("-n", name, "link", "set", interface, "up")
        return host

    def _add_address(self, interface: str, number: int, *where: str) -> None:
        _ip(*where, "addr", "add", f"{self._network[number]}/{self._network.prefixlen}", "dev", interface)


def _free_network() -> ipaddress.IPv4Network:
    """Return a network that no interface of this machine has an address of."""
    interfaces = json.loads(_ip("-j", "-4", "addr"))
    taken = [ipaddress.ip_address(one["local"]) for interface in interfaces for one in interface["addr_info"]]
    networks = [one for one in NETWORKS.subnets(new_prefix=24) if not any(address in one for address in taken)]
    return secrets.choice(networks)


def _neighbour(change: str, other: Host) -> tuple[str, ...]:
    return "neigh", change, other.address, "dev", INTERFACE


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        # Some end meanwhile.
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, number)
