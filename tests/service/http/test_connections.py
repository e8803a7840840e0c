"""Clients that are many or slow, over real sockets: they end, and keep nobody out."""

import asyncio
import contextlib
import select
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stream_assoc.service.http.limits import Limits, raise_descriptor_limit
from stream_assoc.service.http.server import listen, serving

PATIENT = 600.0
"""A deadline that no test reaches."""
HASTY = 0.2
REQUEST = b"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Site:
    """An application with a page, and one that never ends."""

    def __init__(self) -> None:
        self.began, self.ended = threading.Semaphore(0), threading.Semaphore(0)
        self._app = Starlette(routes=[Route("/here", self._page), Route("/endless", self._endless)])
        self.port = 0

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
        if scope["path"] == "/endless":
            self.ended.release()

    def _page(self, _: Request) -> Response:
        return PlainTextResponse("here")

    async def _endless(self, _: Request) -> Response:
        return StreamingResponse(self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        self.began.release()
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0.0)

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(data)
        return connection


@contextmanager
def site(limits: Limits) -> Iterator[Site]:
    served = Site()
    listening = listen("127.0.0.1", 0)
    served.port = listening.getsockname()[1]
    with serving(served.app, listening, "site", limits):
        yield served


def received(connection: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65_536):
            data += piece
    return data


def test_half_sent_requests_keep_nobody_out() -> None:
    with site(Limits(8, PATIENT, PATIENT)) as served, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(served.connect(REQUEST[:20])) for _ in range(300)]
        asking = stack.enter_context(served.connect(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
        assert received(asking).startswith(b"HTTP/1.1 200")
        # Those that have waited for longest made room, and nothing else was said to them.
        assert {received(one) for one in idle[:292]} == {b""}


def test_a_client_that_sends_too_slowly_is_left() -> None:
    with site(Limits(8, HASTY, PATIENT)) as served, served.connect(REQUEST[:-2] + b"X: ") as dripping:
        for _ in range(10_000):
            readable, _, _ = select.select([dripping], [], [], 0.02)
            if readable:
                break
            dripping.send(b"x")
        assert received(dripping) == b""


@pytest.mark.parametrize("data", [b"", b"POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"])
def test_a_request_that_does_not_come_whole_is_not_waited_for(data: bytes) -> None:
    with site(Limits(8, HASTY, PATIENT)) as served, served.connect(data) as waiting:
        assert b"200" not in received(waiting)


def test_the_next_request_has_its_own_deadline() -> None:
    with site(Limits(8, HASTY, PATIENT)) as served, served.connect(REQUEST + REQUEST) as connection:
        assert received(connection).count(b"HTTP/1.1 200") == 2


def test_an_answer_that_is_not_read_is_given_up() -> None:
    with (
        site(Limits(8, PATIENT, HASTY)) as served,
        served.connect(REQUEST.replace(b"/here", b"/endless")),
    ):
        assert served.began.acquire(timeout=60)
        assert served.ended.acquire(timeout=60)


def test_those_who_are_answered_are_not_disturbed() -> None:
    with site(Limits(2, PATIENT, PATIENT)) as served, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(served.connect(REQUEST.replace(b"/here", b"/endless")))
            assert served.began.acquire(timeout=60)
        with served.connect() as one_too_many:
            assert received(one_too_many).startswith(b"HTTP/1.1 503")
        assert not served.ended.acquire(blocking=False)


STORES = """
import resource, sqlite3, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from starlette.applications import Starlette
from stream_assoc.service.http.server import listen, serving
from stream_assoc.service.instruments import Instruments
from stream_assoc.service.http.endpoint import MetricsServer
metrics = MetricsServer(Instruments(), 0)
listening = listen("127.0.0.1", 0)
with serving(Starlette(), listening, "page"):
    print(metrics.port, listening.getsockname()[1], flush=True)
    sys.stdin.readline()
    stores = [sqlite3.connect(sys.argv[1]) for _ in range(50)]
    print([store.execute("SELECT count(*) FROM sqlite_master").fetchone() for store in stores] == [(0,)] * 50)
"""


def test_stores_can_be_opened_whatever_clients_hold(tmp_path: object) -> None:
    raise_descriptor_limit()
    with (
        subprocess.Popen(
            [sys.executable, "-c", STORES, f"{tmp_path}/a.db"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        contextlib.ExitStack() as stack,
    ):
        assert process.stdout is not None
        ports = [int(port) for port in process.stdout.readline().split()]
        for port in ports:
            for _ in range(300):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
                connection.sendall(b"GET")
        said, _ = process.communicate("\n", timeout=60)
    assert said == "True\n"


def test_a_server_takes_a_small_part_of_few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, connections in [(1 << 20, 64), (1024, 64), (256, 16), (16, 4)]:
        monkeypatch.setattr("resource.getrlimit", lambda _, soft=soft: (soft, soft))
        assert Limits.of_process().connections == connections
