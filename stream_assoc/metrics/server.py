"""What a daemon answers over HTTP: its metrics, whether it lives, and whether it is ready."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from stream_assoc.metrics.exceptions import MetricsPortError
from stream_assoc.metrics.instruments import Instruments

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

METRICS_PATH: Final = "/metrics"
ALIVE_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a health question.

    Attributes
    ----------
    good : `bool`
        Told as HTTP status 200 or 503.
    body : `dict`
        Sent as JSON; says why not.
    """

    good: bool
    body: Mapping[str, Any]


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: a scrape that is read slowly holds up no probe."""

    daemon_threads = True
    # A connection that its client keeps open does not keep the daemon from ending.
    block_on_close = False


class _SilentHandler(WSGIRequestHandler):
    """Logs no request, and gives up a client that sends none."""

    timeout = 30.0

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: probes come every few seconds."""


class MetricsServer:
    """Serves instruments at ``/metrics``, and verdicts at other paths, from threads of its own, until closed.

    Parameters
    ----------
    instruments : `Instruments`
        What is served.
    port : `int`
        0 picks a free one.
    host : `str`, optional
        Address to listen on.
    questions : `Mapping` [`str`, callable], optional
        Path to what answers it with a `Verdict`; called from another thread.

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
        instruments: Instruments,
        port: int,
        host: str = "127.0.0.1",
        questions: Mapping[str, Callable[[], Verdict]] | None = None,
    ) -> None:
        self._metrics = make_wsgi_app(instruments.registry)
        self._questions = dict(questions or {})
        try:
            self._server = make_server(host, port, self._answer, _Server, _SilentHandler)
        except OSError as error:
            raise MetricsPortError(
                f"metrics cannot be served on {host}:{port}: {error.strerror}; choose another "
                "metrics.prometheus_port (0 for any free one) or metrics.prometheus_host"
            ) from error
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environment: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environment["PATH_INFO"]
        if path == METRICS_PATH:
            metrics: Iterable[bytes] = self._metrics(environment, start)
            return metrics
        if path in self._questions:
            verdict = self._questions[path]()
            return _send(start, "200 OK" if verdict.good else "503 Service Unavailable", verdict.body)
        return _send(start, "404 Not Found", {"paths": [METRICS_PATH, *self._questions]})


def _send(start: "StartResponse", status: str, body: Mapping[str, Any]) -> Iterable[bytes]:
    content = json.dumps(body, indent=2).encode() + b"\n"
    start(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [content]
