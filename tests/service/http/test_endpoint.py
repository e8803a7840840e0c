"""What a daemon answers over HTTP."""

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request

import pytest

from stream_assoc.service.daemon.health import Verdict
from stream_assoc.service.exceptions import MetricsPortError
from stream_assoc.service.http.endpoint import MetricsServer
from stream_assoc.service.instruments import Instruments


def get(server: MetricsServer, path: str) -> tuple[int, str, bytes]:
    url = f"http://127.0.0.1:{server.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


@pytest.fixture
def verdicts():
    return {"/healthz": Verdict(True, {"why": []}), "/readyz": Verdict(False, {"why": ["apdb: away"]})}


@pytest.fixture
def server(verdicts):
    questions = {path: lambda path=path: verdicts[path] for path in verdicts}
    instruments = Instruments()
    instruments.count_dead_letter("quarantine")
    server = MetricsServer(instruments, 0, questions=questions)
    yield server
    server.close()


def test_metrics_are_in_the_text_format_of_prometheus(server) -> None:
    status, kind, body = get(server, "/metrics")
    assert (status, kind.startswith("text/plain")) == (200, True)
    assert b'stream_assoc_dead_letters_total{reason="quarantine"} 1.0' in body


def test_a_verdict_is_a_status_and_says_why(server, verdicts) -> None:
    assert get(server, "/healthz")[0] == 200
    status, kind, body = get(server, "/readyz")
    assert (status, kind, json.loads(body)) == (503, "application/json", {"why": ["apdb: away"]})
    verdicts["/readyz"] = Verdict(True, {"why": []})
    assert get(server, "/readyz")[0] == 200


def test_an_unknown_path_names_the_known_ones(server) -> None:
    status, _, body = get(server, "/health")
    assert (status, json.loads(body)["paths"]) == (404, ["/metrics", "/healthz", "/readyz"])


def test_a_client_that_says_nothing_holds_up_nobody(server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/metrics")[0] == 200


def test_a_question_that_takes_long_holds_up_nobody() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow() -> Verdict:
        asked.set()
        go_on.wait(60)
        return Verdict(True, {})

    server = MetricsServer(Instruments(), 0, questions={"/slow": slow})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/slow")
    assert asked.wait(60)
    assert get(server, "/metrics")[0] == 200
    go_on.set()
    assert connection.getresponse().status == 200
    server.close()


def test_it_is_served_until_closed() -> None:
    server = MetricsServer(Instruments(), 0)
    server.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10)


def test_a_port_that_is_taken_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MetricsPortError, match=rf"127\.0\.0\.1:{port}.*metrics\.prometheus_port"):
            MetricsServer(Instruments(), port)
