"""What systemd is told, and which signals ask a daemon to stop."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_assoc.service.daemon.process import ServiceManager, StopRequest


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
    manager.note_progress()
    assert read() == [
        "STATUS=starting",
        "READY=1\nSTATUS=running",
        "STATUS=restarting",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_progress_is_told_twice_as_often_as_the_watchdog_looks(notified) -> None:
    path, read = notified
    now = [0.0]
    manager = ServiceManager(path, watchdog_seconds=10.0, monotonic=lambda: now[0])
    for _ in range(21):
        manager.note_progress()
        now[0] += 1.0
    assert read() == ["WATCHDOG=1"] * 5


def test_the_environment_says_whom_to_tell(notified, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = notified
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    manager = ServiceManager.of_environment()
    manager.note_progress()
    manager.enter("running")
    assert read() == ["WATCHDOG=1", "READY=1\nSTATUS=running"]


def test_without_a_service_manager_nothing_is_sent() -> None:
    ServiceManager(None).enter("running")


def test_one_that_is_gone_does_not_matter(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "gone")).enter("running")


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_each_of_them_asks_and_is_named(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    stop = StopRequest(1.0)
    stop.on_signals()
    signal.raise_signal(number)
    assert (stop.is_set(), stop.asked_by) == (True, number.name)


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = StopRequest(1.0)
    stop.on_signals()
    signal.raise_signal(signal.SIGHUP)
    assert not stop.is_set()


def test_a_program_in_the_background_heeds_what_its_shell_ignores() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = StopRequest(1.0)
    stop.on_signals()
    signal.raise_signal(signal.SIGINT)
    assert stop.is_set()
