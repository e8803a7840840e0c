import base64
import gzip
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stream_assoc.messaging.avro.registry import SchemaRegistry
from stream_assoc.messaging.exceptions import DecodeError, RegistryConfigurationError, RegistryUnavailableError
from tests.security.certificates import Authority

SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "v", "type": "long"}]}


class Server(ThreadingHTTPServer):
    """A registry that answers as it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.bodies: list[Any] = []
        self.further_headers: dict[str, str] = {}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer(*self.server.answers.get(self.path, (404, {"error_code": 40403, "message": "Schema not found"})))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.do_GET()

    def answer(self, status, body) -> None:
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in self.server.further_headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def registry(server):
    return SchemaRegistry(f"http://127.0.0.1:{server.server_port}/", timeout_seconds=5)


def test_a_schema_is_found_once(server, registry) -> None:
    server.answers["/schemas/ids/7"] = (200, {"schema": json.dumps(SCHEMA)})
    assert registry.writer_schema(7) == SCHEMA
    assert registry.writer_schema(7) == SCHEMA
    assert server.requests == [("/schemas/ids/7", None)]


def test_credentials_come_from_the_url_and_stay_out_of_messages(server) -> None:
    registry = SchemaRegistry(f"http://reader:se%40cret@127.0.0.1:{server.server_port}")
    with pytest.raises(DecodeError) as caught:
        registry.writer_schema(8)
    expected = base64.b64encode(b"reader:se@cret").decode()
    assert server.requests == [("/schemas/ids/8", f"Basic {expected}")]
    assert "cret" not in str(caught.value)


def test_an_unknown_id_condemns_the_message(registry) -> None:
    with pytest.raises(DecodeError, match="schema id 8 is not in the registry") as caught:
        registry.writer_schema(8)
    assert caught.value.reason == "unknown_schema"


@pytest.mark.parametrize(
    "answer",
    [
        {"schema": json.dumps(SCHEMA), "schemaType": "JSON"},
        {"schema": json.dumps(SCHEMA), "schemaType": ["AVRO"]},
        {"schema": json.dumps(SCHEMA), "references": [{"name": "other"}]},
        {"schema": json.dumps(SCHEMA), "references": [7]},
        {"schema": json.dumps("string")},
    ],
)
def test_a_schema_that_is_no_record_condemns_the_message(server, registry, answer: dict[str, Any]) -> None:
    server.answers["/schemas/ids/7"] = (200, answer)
    with pytest.raises(DecodeError) as caught:
        registry.writer_schema(7)
    assert caught.value.reason == "incompatible_schema"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_registry_is_waited_for(server, registry, status: int) -> None:
    server.answers["/schemas/ids/7"] = (status, {})
    with pytest.raises(RegistryUnavailableError):
        registry.writer_schema(7)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_fatal(server, registry, status: int) -> None:
    server.answers["/schemas/ids/7"] = (status, {})
    with pytest.raises(RegistryConfigurationError, match="schema_registry_url"):
        registry.writer_schema(7)


def test_an_answer_that_is_not_json_is_waited_for(server, registry) -> None:
    server.answers["/schemas/ids/7"] = (200, b"<html>")
    with pytest.raises(RegistryUnavailableError):
        registry.writer_schema(7)


def test_no_registry_is_waited_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        registry = SchemaRegistry(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(RegistryUnavailableError, match="does not answer"):
            registry.writer_schema(7)


def test_a_registry_that_is_silent_is_not_waited_for_forever() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        registry = SchemaRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.1)
        with pytest.raises(RegistryUnavailableError, match="timed out"):
            registry.writer_schema(7)


def test_a_schema_is_registered(server, registry) -> None:
    server.answers["/subjects/dia-objects-value/versions"] = (200, {"id": 31})
    assert registry.register("dia-objects-value", SCHEMA) == 31
    assert json.loads(server.bodies[0]["schema"]) == SCHEMA


def test_an_incompatible_schema_cannot_be_registered(server, registry) -> None:
    server.answers["/subjects/dia-objects-value/versions"] = (409, {"message": "incompatible"})
    with pytest.raises(RegistryConfigurationError, match="register the schema of dia-objects-value"):
        registry.register("dia-objects-value", SCHEMA)


@pytest.mark.parametrize("url", ["localhost:8081", "ftp://host", "http://"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(RegistryConfigurationError, match="schema_registry_url"):
        SchemaRegistry(url)


@pytest.mark.parametrize(
    "answer",
    [b"[" * 100_000, b"[]", b"7", b"null", b'"schema"', b'{"schema":' * 50_000],
)
def test_an_answer_that_is_no_object_is_waited_for(server, registry, answer) -> None:
    server.answers["/schemas/ids/7"] = (200, answer)
    with pytest.raises(RegistryUnavailableError):
        registry.writer_schema(7)


def test_an_answer_longer_than_16_mib_is_not_read(server, registry) -> None:
    server.answers["/schemas/ids/7"] = (
        200,
        b" " * 16 * 1024**2 + json.dumps({"schema": json.dumps(SCHEMA)}).encode(),
    )
    with pytest.raises(RegistryUnavailableError):
        registry.writer_schema(7)


def test_a_compressed_answer_is_not_expanded(server, registry) -> None:
    server.further_headers["Content-Encoding"] = "gzip"
    server.answers["/schemas/ids/7"] = (200, gzip.compress(json.dumps({"schema": json.dumps(SCHEMA)}).encode()))
    with pytest.raises(RegistryUnavailableError):
        registry.writer_schema(7)


@pytest.mark.parametrize(
    "extra",
    [
        {"metadata": {"tags": ["a"]}},
        {"ruleSet": {"domainRules": [{"name": "r", "kind": "LATER_KIND", "mode": "WRITE"}]}},
        {"guid": ["x"]},
    ],
)
def test_what_else_the_registry_says_of_a_schema_is_ignored(server, registry, extra: dict[str, Any]) -> None:
    server.answers["/schemas/ids/7"] = (200, {"schema": json.dumps(SCHEMA)} | extra)
    assert registry.writer_schema(7) == SCHEMA


@pytest.mark.parametrize("schema", [None, 7, [], {}, "{", "[" * 100_000, "[]"])
def test_an_answer_without_a_schema_condemns_the_message(server, registry, schema) -> None:
    server.answers["/schemas/ids/7"] = (200, {"schema": schema})
    with pytest.raises(DecodeError) as caught:
        registry.writer_schema(7)
    assert caught.value.reason == "incompatible_schema"


def test_a_registration_without_an_id_is_waited_for(server, registry) -> None:
    server.answers["/subjects/dia-objects-value/versions"] = (200, {"id": None})
    with pytest.raises(RegistryUnavailableError, match="without the id"):
        registry.register("dia-objects-value", SCHEMA)


def test_credentials_are_given_beside_the_url(server) -> None:
    server.answers["/schemas/ids/7"] = (200, {"schema": json.dumps(SCHEMA)})
    address = f"http://127.0.0.1:{server.server_port}"
    SchemaRegistry(address, credentials=("reader", "se@cret:1")).writer_schema(7)
    assert server.requests == [("/schemas/ids/7", "Basic " + base64.b64encode(b"reader:se@cret:1").decode())]


def test_credentials_do_not_follow_a_redirect(server) -> None:
    class Redirecting(Handler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}{self.path}")
            self.end_headers()

    server.answers["/schemas/ids/7"] = (200, {"schema": json.dumps(SCHEMA)})
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{other.server_port}"
        assert SchemaRegistry(address, credentials=("reader", "secret")).writer_schema(7) == SCHEMA
        other.shutdown()
        thread.join()
    assert server.requests == [("/schemas/ids/7", None)]


def test_a_registry_with_a_certificate_of_ones_own(server, tmp_path: Path) -> None:
    authority, stranger = Authority.in_folder(tmp_path / "own"), Authority.in_folder(tmp_path / "stranger")
    issued = authority.issue("registry")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.answers["/schemas/ids/7"] = (200, {"schema": json.dumps(SCHEMA)})
    address = f"https://127.0.0.1:{server.server_port}"
    assert SchemaRegistry(address, ca_file=authority.file).writer_schema(7) == SCHEMA
    for unknown in (stranger.file, None):
        with pytest.raises(RegistryConfigurationError, match=r"set kafka\.schema_registry_ca_file"):
            SchemaRegistry(address, ca_file=unknown).writer_schema(7)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    with pytest.raises(RegistryConfigurationError, match=r"kafka\.schema_registry_ca_file"):
        SchemaRegistry("https://registry", ca_file=tmp_path / "empty.pem")
