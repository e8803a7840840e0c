"""The dashboard as a running server."""

import json
import socket
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from stream_assoc.apps.web.server import Dashboard, DashboardPortError
from tests.configured import configured

NOWHERE = "127.0.0.1:1"
PATIENCE_SECONDS = 120.0


def settings_of(url, **dashboard):
    return configured(
        apdb={"url": url},
        kafka={"bootstrap_servers": NOWHERE, "librdkafka": {"log_level": 0}},
        dashboard={"port": 0, **dashboard},
    )


def events(url):
    """Yield the name and data of each event, until the server ends the stream."""
    with httpx.stream("GET", f"{url}api/events", timeout=PATIENCE_SECONDS) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def until(url, is_wanted):
    """Return the states once they are as wanted."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for name, data in events(url):
        assert time.monotonic() < deadline, data
        states = data["states"] if name == "hello" else data
        if name in {"hello", "states"} and is_wanted(states):
            return states
    raise AssertionError("the stream ended")


def test_it_serves_what_is_stored_without_a_broker_and_says_so(sqlite_night) -> None:
    with Dashboard(settings_of(sqlite_night.url)) as dashboard:
        assert "stream_assoc" in httpx.get(dashboard.url).text
        assert httpx.get(f"{dashboard.url}api/objects").json()["objects"]
        states = until(dashboard.url, lambda states: states["overview"] and "kafka" in states["services"])
    assert states["services"]["apdb"]["isUp"]
    assert not states["services"]["kafka"]["isUp"]
    assert "kafka.bootstrap_servers" in states["services"]["kafka"]["message"]
    assert states["overview"]["n_objects"] > 0


def test_it_serves_without_an_apdb_and_says_so(tmp_path: Path) -> None:
    with Dashboard(settings_of(f"sqlite:///{tmp_path / 'none.db'}")) as dashboard:
        states = until(dashboard.url, lambda states: "apdb" in states["services"])
        assert "apdb init" in states["services"]["apdb"]["message"]
        assert httpx.get(f"{dashboard.url}api/sky").status_code == 503
        assert httpx.get(dashboard.url).status_code == 200


def test_an_end_of_the_dashboard_ends_its_streams(empty_url) -> None:
    ended = threading.Event()

    def listen(url) -> None:
        for _ in events(url):
            heard.set()
        ended.set()

    heard = threading.Event()
    with Dashboard(settings_of(empty_url)) as dashboard:
        threading.Thread(target=listen, args=(dashboard.url,), daemon=True).start()
        assert heard.wait(PATIENCE_SECONDS)
    assert ended.wait(PATIENCE_SECONDS)
    with pytest.raises(httpx.ConnectError):
        httpx.get(dashboard.url)


def test_a_port_that_is_taken_is_told_with_the_setting(empty_url) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DashboardPortError, match=rf"127\.0\.0\.1:{port}.*dashboard\.port"):
            Dashboard(settings_of(empty_url, port=port)).__enter__()


def test_an_address_of_another_machine_is_told_with_the_setting(empty_url) -> None:
    with pytest.raises(DashboardPortError, match=r"dashboard\.host"):
        Dashboard(settings_of(empty_url, host="192.0.2.1")).__enter__()
