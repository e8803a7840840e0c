"""A Schema Registry that speaks TLS only, and answers a user with a password."""

import contextlib
import hmac
import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.security.certificates import Certificate

FIRST_ID = 7000


class SecuredRegistry(ThreadingHTTPServer):
    """Keeps schemas in memory, each under an id of its own.

    Attributes
    ----------
    schemas : `list` [`str`]
        As they were registered; the first has the id `FIRST_ID`.
    refused : `int`
        Requests without the right password.
    """

    daemon_threads = True

    def __init__(self, server: Certificate, user: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(server.certificate, server.key)
        # The handshake is done by the thread of the connection, so that nobody else waits for it.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.expected = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self.schemas: list[str] = []
        self.refused = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_port}"

    def register(self, schema: dict[str, Any]) -> int:
        """Return the id of a schema."""
        return self.id_of(json.dumps(schema))

    def id_of(self, schema: str) -> int:
        if schema not in self.schemas:
            self.schemas.append(schema)
        return FIRST_ID + self.schemas.index(schema)

    @contextlib.contextmanager
    def serving(self) -> Iterator["SecuredRegistry"]:
        """Answer for the length of the block."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: SecuredRegistry

    def do_GET(self) -> None:
        number = int(self.path.rpartition("/")[2]) - FIRST_ID
        known = 0 <= number < len(self.server.schemas)
        self._answer(200 if known else 404, {"schema": self.server.schemas[number]} if known else {})

    def do_POST(self) -> None:
        schema = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
        self._answer(200, {"id": self.server.id_of(schema)})

    def _answer(self, status: int, body: dict[str, object]) -> None:
        if not hmac.compare_digest(self.headers.get("Authorization", ""), self.server.expected):
            self.server.refused += 1
            status, body = 401, {}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None: ...
