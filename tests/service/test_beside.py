"""A child beside a daemon: told when a batch is in hand, heard, started again, and gone when the daemon is."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stream_assoc.service.beside import ProcessBeside
from stream_assoc.service.daemon.retry import Backoff
from stream_assoc.settings import Settings

CHILD = """
import json, os, pickle, sys
n_bytes = int.from_bytes(sys.stdin.buffer.raw.read(8), "big")
settings = pickle.loads(sys.stdin.buffer.raw.read(n_bytes))
def tell(*words):
    os.write(1, json.dumps(words).encode() + b"\\n")
tell("born", os.getpid(), settings.redis.prefix)
while said := os.read(0, 1):
    tell("busy", said == b"1")
"""


class Heard:
    """What a child tells, to be waited for."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.busy: list[bool] = []
        self.prefixes: set[str] = set()
        self._changed = threading.Condition()

    def born(self, pid: int, prefix: str) -> None:
        with self._changed:
            self.pids.append(pid)
            self.prefixes.add(prefix)
            self._changed.notify_all()

    def heard_busy(self, is_busy: bool) -> None:
        with self._changed:
            self.busy.append(is_busy)
            self._changed.notify_all()

    def wait_for(self, condition) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, 120.0)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def process(heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcessBeside:
    (tmp_path / "child_that_tells.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    hear: dict[str, Callable[..., None]] = {"born": heard.born, "busy": heard.heard_busy}
    settings = Settings.model_validate({"redis": {"prefix": "ours"}})
    return ProcessBeside(settings, "child_that_tells", hear, Backoff(0.01, 0.01), "telling")


def test_it_hears_the_settings_and_when_a_batch_is_in_hand(process: ProcessBeside, heard: Heard) -> None:
    with process:
        heard.wait_for(lambda: heard.busy == [False])
        with process.in_hand():
            heard.wait_for(lambda: heard.busy == [False, True])
        heard.wait_for(lambda: heard.busy == [False, True, False])
        with contextlib.suppress(LookupError), process.in_hand():
            raise LookupError
        heard.wait_for(lambda: heard.busy[3:] == [True, False])
    assert heard.prefixes == {"ours"}


def test_another_takes_its_place(process: ProcessBeside, heard: Heard) -> None:
    with process:
        heard.wait_for(lambda: len(heard.busy) == 1)
        with process.in_hand():
            heard.wait_for(lambda: heard.busy[-1:] == [True])
            os.kill(heard.pids[0], signal.SIGKILL)
            # Which is told at once what is in hand.
            heard.wait_for(lambda: len(heard.pids) == 2 and len(heard.busy) == 3)
            assert heard.busy[-1] is True


def test_a_child_that_listens_no_more_holds_nobody_up(process: ProcessBeside, heard: Heard) -> None:
    with process:
        heard.wait_for(lambda: len(heard.busy) == 1)
        child = psutil.Process(heard.pids[0])
        child.suspend()
        # More than a pipe takes.
        for _ in range(100_000):
            with process.in_hand():
                pass
        child.kill()
        heard.wait_for(lambda: len(heard.pids) == 2)


def test_it_is_gone_at_the_end(process: ProcessBeside, heard: Heard) -> None:
    with process:
        heard.wait_for(lambda: len(heard.pids) == 1)
    assert not psutil.pid_exists(heard.pids[0])


def test_an_end_at_the_very_beginning_leaves_nobody(process: ProcessBeside) -> None:
    with process:
        pass
    assert not [one for one in psutil.Process().children() if "child_that_tells" in one.cmdline()]
