"""systemd is told what it asks for."""

import socket
from pathlib import Path

import pytest

from stream_assoc.service.daemon.service_manager import ServiceManager


@pytest.fixture
def notified(tmp_path: Path):
    """The socket of a service manager, and a function that reads what it was told."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.setblocking(False)

        def read() -> list[str]:
            told = []
            while True:
                try:
                    told.append(listening.recv(1024).decode())
                except BlockingIOError:
                    return told

        yield path, read


def test_phases(notified) -> None:
    path, read = notified
    manager = ServiceManager(path)
    for phase in ("starting", "running", "restarting", "stopping"):
        manager.enter(phase)
    manager.turn()
    assert read() == [
        "STATUS=starting",
        "READY=1\nSTATUS=running",
        "STATUS=restarting",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_turns_are_told_twice_as_often_as_the_watchdog_looks(notified) -> None:
    path, read = notified
    now = [0.0]
    manager = ServiceManager(path, watchdog_seconds=10.0, monotonic=lambda: now[0])
    for _ in range(21):
        manager.turn()
        now[0] += 1.0
    assert read() == ["WATCHDOG=1"] * 5


def test_the_environment_says_whom_to_tell(notified, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = notified
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    manager = ServiceManager.of_environment()
    manager.turn()
    manager.enter("running")
    assert read() == ["WATCHDOG=1", "READY=1\nSTATUS=running"]


def test_without_a_service_manager_nothing_is_sent() -> None:
    ServiceManager(None).enter("running")


def test_one_that_is_gone_does_not_matter(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "gone")).enter("running")
