"""An application served over HTTP from threads of its own."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from starlette.types import ASGIApp

from stream_assoc.service.http.connections import bounded
from stream_assoc.service.http.limits import Limits

_WORKERS: Final = 8
"""Answers worked on at a time; each may hold a connection to a database."""
_QUEUE: Final = 1024
_MAX_HEADER_BYTES: Final = 16_384
_END_SECONDS: Final = 5.0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    OSError
        If the port is taken, or the host has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # In the kernel more may wait than are accepted in one go: there they cost no descriptor.
        for listening in sockets or ():
            listening.listen(_QUEUE)


@contextmanager
def serving(app: ASGIApp, listening: socket.socket, name: str, limits: Limits | None = None) -> Iterator[None]:
    """Serve an application from a thread between ``with`` and its end, which closes the socket.

    Parameters
    ----------
    app : ASGI application
        What is served. Endpoints that are not coroutines run in a few threads more.
    listening : `socket.socket`
        From `listen`.
    name : `str`
        Of the thread.
    limits : `Limits`, optional
        How much clients may take; by default, what the process's limit of file
        descriptors allows.
    """
    chosen = limits or Limits.of_process()
    config = uvicorn.Config(
        app,
        http=bounded(chosen),
        ws="none",
        # As many are accepted before the first of them is counted.
        backlog=chosen.connections,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        log_config=None,
        log_level="warning",
        access_log=False,
        interface="asgi3",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)

    async def serve() -> None:
        current_default_thread_limiter().total_tokens = _WORKERS
        await server.serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name=name, daemon=True)
    with listening:
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(_END_SECONDS)
