"""A network between clients and a server that can be cut and mended.

A cut is a partition: what is sent does not arrive, new connections lead
nowhere, and nobody is told. A closed socket would be noticed at once. In one
thing it is kinder than a real partition: the kernel still acknowledges what
each side sends, and answers its keepalives, as a proxy or a hung server does.
Only a program's own deadline ends its waiting.
"""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536


@dataclass(slots=True)
class Wire:
    """What connections of one time have in common: whether bytes pass, and whether they ever will again."""

    whole: threading.Event = field(default_factory=threading.Event)
    dead: bool = False

    def carries(self) -> bool:
        """Wait while the wire is cut; then tell whether it carries on."""
        self.whole.wait()
        return not self.dead


@dataclass(frozen=True, slots=True)
class Trap:
    """A cut that waits for a request."""

    request: bytes
    delivered: bool


class CuttableProxy:
    """Forwards TCP connections to a server, until it is cut.

    Parameters
    ----------
    target_host, target_port : `str`, `int`
        The server. A host that begins with ``/`` is the path of its Unix
        socket, without a port.
    port : `int`, optional
        Where to listen on 127.0.0.1; 0 is any free port. It is taken at once,
        connections are served inside the ``with`` block.

    Attributes
    ----------
    port : `int`
        Where it listens.
    """

    def __init__(self, target_host: str, target_port: int = 0, port: int = 0) -> None:
        self._target = (target_host, target_port)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._mutex = threading.RLock()
        self._wire = _whole_wire()
        self._trap: Trap | None = None
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_cut(self) -> bool:
        """Whether nothing passes at the moment."""
        return not self._wire.whole.is_set()

    def cut(self) -> None:
        """Let nothing pass any more, in either direction, without telling anybody."""
        self._wire.whole.clear()

    def cut_at(self, request: bytes, *, delivered: bool) -> None:
        """Cut when a client next sends bytes that contain ``request``.

        Parameters
        ----------
        request : `bytes`
            What to wait for.
        delivered : `bool`
            Whether it still reaches the server, so that only the answer is lost.
        """
        self._trap = Trap(request, delivered)

    def mend(self, *, dead: bool = False) -> None:
        """Let new connections pass again.

        Parameters
        ----------
        dead : `bool`, optional
            What becomes of the connections that the cut found or that were
            opened meanwhile: when true, neither side ever hears of the other
            again, as behind a router that has forgotten them. By default they
            go on, and what was sent during the cut arrives now.
        """
        with self._mutex:
            self._accept_waiting()
            wire = self._wire
            wire.dead = dead
            if dead:
                self._wire = _whole_wire()
        wire.whole.set()

    def close(self) -> None:
        """Close every connection; return when no thread is left."""
        self.mend(dead=True)
        with self._mutex:
            self._closed = True
            sockets, threads = list(self._sockets), list(self._threads)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in sockets:
            _close(one)
        for thread in threads:
            thread.join()
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        with self._mutex:
            self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while not self._closed:
            select.select([self._listener], [], [])
            with self._mutex:
                self._accept_waiting()

    def _accept_waiting(self) -> None:
        """Serve those who wait to be accepted, on the wire of now."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.add(client)
                self._start(self._serve, client, self._wire)

    def _serve(self, client: socket.socket, wire: Wire) -> None:
        if not wire.carries():
            return
        try:
            server = _connect(*self._target)
        except OSError:
            self._discard(client)
            return
        if self._keep(server):
            upward = self._start(self._pump, client, server, wire, self._spring)
            self._pump(server, client, wire, lambda chunk: None)
            upward.join()
            if not wire.dead:
                self._discard(client, server)

    def _pump(
        self, source: socket.socket, sink: socket.socket, wire: Wire, spring: Callable[[bytes], Trap | None]
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := _receive(source):
                trap = spring(chunk)
                if trap is not None:
                    self.cut()
                    if trap.delivered:
                        sink.sendall(chunk)
                        continue
                if not wire.carries():
                    return
                sink.sendall(chunk)
        if wire.carries():
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def _spring(self, chunk: bytes) -> Trap | None:
        """Return the trap that this chunk springs, and disarm it."""
        with self._mutex:
            trap = self._trap
            if trap is None or trap.request not in chunk:
                return None
            self._trap = None
            return trap

    def _keep(self, one: socket.socket) -> bool:
        """Remember a socket, to be closed at the end; return whether the end is not yet there."""
        with self._mutex:
            if not self._closed:
                self._sockets.add(one)
                return True
        one.close()
        return False

    def _discard(self, *sockets: socket.socket) -> None:
        with self._mutex:
            self._sockets.difference_update(sockets)
        for one in sockets:
            _close(one)


def _whole_wire() -> Wire:
    wire = Wire()
    wire.whole.set()
    return wire


def _connect(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(host)
    except OSError:
        server.close()
        raise
    return server


def _receive(source: socket.socket) -> bytes:
    """Return what came next; nothing at the end, be it orderly or not."""
    try:
        return source.recv(CHUNK_BYTES)
    except OSError:
        return b""


def _close(one: socket.socket) -> None:
    """Close a socket that a thread may wait on; only a shutdown wakes it."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
