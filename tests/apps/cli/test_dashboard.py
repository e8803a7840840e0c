"""``stream-assoc dashboard``, and ``serve`` and ``demo`` with one, as processes."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from stream_assoc.apps.cli.demo import _dashboard
from stream_assoc.stores.apdb.create import init
from tests.configured import configured

PATIENCE_SECONDS = 300.0


@contextmanager
def process(*arguments, **options):
    """Run a command; at the end, ask it to stop and see that it does so cleanly."""
    running = subprocess.Popen(
        [sys.executable, "-m", "stream_assoc", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        **options,
    )
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_SECONDS) == 0
    finally:
        running.kill()
        running.wait()


def answer(address: str) -> httpx.Response:
    """Return what an address answers, however busy this machine is."""
    return httpx.get(address, timeout=PATIENCE_SECONDS)


def address_of(running, pattern):
    for line in running.stdout:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError("the process ended without an address")


@pytest.fixture
def assignments(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'apdb.db'}"
    init(url)
    settings = [f"apdb.url={url}", "kafka.bootstrap_servers=127.0.0.1:1", "dashboard.port=0"]
    return [word for setting in settings for word in ("--set", setting)]


def test_it_prints_its_address_serves_and_stops_on_a_signal(assignments) -> None:
    with process("dashboard", *assignments) as running:
        address = address_of(running, r"Dashboard at (http://127\.0\.0\.1:\d+/)")
        assert answer(f"{address}api/objects").json() == {"objects": []}


@pytest.mark.integration
def test_serve_has_one_when_asked(assignments, kafka_bootstrap: str, valkey_url: str, topic) -> None:
    more = ["--set", "dashboard.enabled=true", "--set", "logging.format=json", "--set", f"redis.url={valkey_url}"]
    more += ["--set", f"kafka.bootstrap_servers={kafka_bootstrap}", "--set", f"kafka.input_topic={topic}"]
    with process("serve", *assignments, *more) as running:
        address = address_of(running, r'"url": "(http://127\.0\.0\.1:\d+/)"')
        assert answer(f"{address}api/objects").json() == {"objects": []}


@pytest.mark.integration
def test_the_demo_shows_its_night_and_waits(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with process("demo", "--dashboard", "--visits", 2, "--detectors", 1, "--folder", folder) as running:
        address = address_of(running, r"Click an object at (http://127\.0\.0\.1:\d+/)#/objects")
        listed = answer(f"{address}api/objects").json()["objects"]
        assert listed
        curve = answer(f"{address}api/objects/{listed[0]['diaObjectId']}/light_curve").json()
        assert len(curve["sources"]) == listed[0]["nDiaSources"]


def test_the_demo_takes_another_port_when_its_own_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'apdb.db'}"
    init(url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = configured(
            apdb={"url": url},
            kafka={"bootstrap_servers": "127.0.0.1:1", "librdkafka": {"log_level": 0}},
            dashboard={"port": port},
        )
        with _dashboard(settings) as address:
            assert httpx.get(address).status_code == 200
            assert f":{port}/" not in address
    assert "dashboard.port" in capsys.readouterr().err
