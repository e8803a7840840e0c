"""A Schema Registry of the tests' own: schemas by id, and ids for schemas that are registered."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIRST_REGISTERED_ID = 7000


class RegistryServer(ThreadingHTTPServer):
    """Answers from what it knows.

    Parameters
    ----------
    known : mapping [`int`, `dict`]
        Schemas that producers registered before, by id.
    """

    def __init__(self, known: Mapping[int, dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), RegistryHandler)
        self.schemas = dict(known)
        self.subjects: dict[str, int] = {}
        self.asked: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """Return the id of a schema: the one it has, or the next."""
        found = next((schema_id for schema_id, one in self.schemas.items() if one == schema), None)
        if found is None:
            found = max([FIRST_REGISTERED_ID - 1, *self.schemas]) + 1
            self.schemas[found] = schema
        self.subjects[subject] = found
        return found


class RegistryHandler(BaseHTTPRequestHandler):
    """The two calls that are made of a registry."""

    server: RegistryServer

    def do_GET(self) -> None:
        schema_id = int(self.path.rpartition("/")[2])
        self.server.asked.append(schema_id)
        schema = self.server.schemas.get(schema_id)
        self._answer(404 if schema is None else 200, {"schema": json.dumps(schema)})

    def do_POST(self) -> None:
        schema = json.loads(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"])
        self._answer(200, {"id": self.server.register(self.path.split("/")[2], schema)})

    def _answer(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None: ...


@contextlib.contextmanager
def schema_registry(known: Mapping[int, dict[str, Any]] | None = None) -> Iterator[RegistryServer]:
    """Give a registry that answers."""
    with RegistryServer(known or {}) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
