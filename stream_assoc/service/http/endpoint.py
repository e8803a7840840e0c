"""What a daemon serves over HTTP: its metrics, whether it is alive, and whether it is ready."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stream_assoc.service.daemon.health import Verdict
from stream_assoc.service.exceptions import MetricsPortError
from stream_assoc.service.http.limits import Limits
from stream_assoc.service.http.server import listen, serving

METRICS_PATH: Final = "/metrics"
ALIVE_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"


class Registered(Protocol):
    """Instruments, of a daemon or of another program."""

    @property
    def registry(self) -> CollectorRegistry:
        """Where they are."""


class MetricsServer:
    """Serves instruments at ``/metrics``, and verdicts at other paths, from threads of its own, until closed.

    Parameters
    ----------
    instruments : `Registered`
        What is served.
    port : `int`
        0 picks a free one.
    host : `str`, optional
        Address to listen on.
    questions : `Mapping` [`str`, callable], optional
        Path to what answers it with a `Verdict`; called from another thread.
    limits : `Limits`, optional
        How much clients may take.

    Attributes
    ----------
    port : `int`
        The port it listens on.

    Raises
    ------
    MetricsPortError
        If the port is taken, or the host has no such address.
    """

    def __init__(
        self,
        instruments: Registered,
        port: int,
        host: str = "127.0.0.1",
        questions: Mapping[str, Callable[[], Verdict]] | None = None,
        limits: Limits | None = None,
    ) -> None:
        try:
            listening = listen(host, port)
        except OSError as error:
            raise MetricsPortError(
                f"metrics cannot be served on {host}:{port}: {error.strerror or error}; choose another "
                "metrics.prometheus_port (0 for any free one) or metrics.prometheus_host"
            ) from error
        self.port = int(listening.getsockname()[1])
        self._stack = ExitStack()
        self._stack.enter_context(serving(_application(instruments, questions or {}), listening, "metrics", limits))

    def close(self) -> None:
        """Stop listening."""
        self._stack.close()


class _Metrics:
    """The instruments in the format that the client asks for."""

    def __init__(self, instruments: Registered) -> None:
        self._answer = make_asgi_app(instruments.registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, receive, send)


def _application(instruments: Registered, questions: Mapping[str, Callable[[], Verdict]]) -> Starlette:
    known = [METRICS_PATH, *questions]
    return Starlette(
        routes=[
            Route(METRICS_PATH, _Metrics(instruments), methods=["GET"]),
            *(Route(path, _endpoint(question), methods=["GET"]) for path, question in questions.items()),
        ],
        exception_handlers={404: lambda _, __: _json(404, {"paths": known})},
    )


def _endpoint(question: Callable[[], Verdict]) -> Callable[[Request], Response]:
    """Return an endpoint that Starlette runs in a thread, because a question may take long."""

    def endpoint(_: Request) -> Response:
        verdict = question()
        return _json(200 if verdict.good else 503, verdict.body)

    return endpoint


def _json(status: int, body: Mapping[str, Any]) -> Response:
    content = json.dumps(body, indent=2).encode() + b"\n"
    return Response(content, status, {"Cache-Control": "no-store"}, "application/json")
