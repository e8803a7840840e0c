"""A trial ends with a verdict on a message only if it had been taken up."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_assoc.service.daemon.trial import CANNOT_WORK, SERVICE_AWAY, ProcessTrial, ending
from stream_assoc.service.daemon.watched_handler import Tried
from stream_assoc.service.exceptions import MicroBatchAbandonedError, TrialUndecidedError
from stream_assoc.settings import Settings
from stream_assoc.settings.operation import DaemonSettings
from tests.service.daemon.fakes import message

Make = Callable[..., ProcessTrial]

CHILD = """
import os, pickle, signal, sys, time
settings, messages = pickle.loads(sys.stdin.buffer.read())
assert [one.value for one in messages] == [b"payload"] * 3 and "STREAM_ASSOC_TEST_FAILPOINT" not in os.environ
{work}
"""


@pytest.fixture
def trial_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STREAM_ASSOC_TEST_FAILPOINT", "after-decode")

    def make(work: str, trial_seconds: float = 600.0, on_wait: Callable[[], None] = lambda: None) -> ProcessTrial:
        (tmp_path / "child.py").write_text(CHILD.format(work=work))
        return ProcessTrial(Settings(daemon=DaemonSettings(trial_seconds=trial_seconds)), "child", on_wait)

    return make


BEGIN = "os.write(1, b'b'); "


MICRO_BATCH = [message(0), message(1), message(2)]


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (BEGIN + "os.kill(os.getpid(), signal.SIGSEGV)", Tried(0, "SIGSEGV")),
        (2 * BEGIN + "os.abort()", Tried(1, "SIGABRT")),
        (
            3 * BEGIN + "os.kill(os.getpid(), signal.SIGKILL)",
            Tried(2, "SIGKILL, which the kernel also sends for want of memory"),
        ),
        (
            BEGIN + "raise MemoryError",
            Tried(0, "an error that was not foreseen, exit code 1; its traceback is in the daemon's log"),
        ),
        (3 * BEGIN, Tried(3)),
        # Whatever it dies of before it has a message in hand is not the message's fault.
        ("os.kill(os.getpid(), signal.SIGKILL)", Tried(0)),
        ("import nothing_of_this_name", Tried(0)),
        (2 * BEGIN + f"sys.exit({CANNOT_WORK})", Tried(1)),
    ],
)
def test_verdicts(trial_of: Make, work: str, expected: Tried) -> None:
    assert trial_of(work)(MICRO_BATCH) == expected


@pytest.mark.parametrize("work", [f"sys.exit({SERVICE_AWAY})", BEGIN + f"sys.exit({SERVICE_AWAY})"])
def test_a_service_that_is_away_decides_nothing(trial_of: Make, work: str) -> None:
    with pytest.raises(TrialUndecidedError):
        trial_of(work)(MICRO_BATCH)


def test_a_trial_that_takes_too_long_is_ended(trial_of: Make) -> None:
    found = trial_of(BEGIN + "signal.pause()", trial_seconds=0.1)(MICRO_BATCH)
    assert found == Tried(0, "it took longer than daemon.trial_seconds")


def test_a_daemon_that_must_stop_ends_the_trial(trial_of: Make) -> None:
    def stop() -> None:
        raise MicroBatchAbandonedError("the daemon is stopping")

    with pytest.raises(MicroBatchAbandonedError):
        trial_of(BEGIN + "signal.pause()", on_wait=stop)(MICRO_BATCH)


def test_unknown_signals_have_numbers() -> None:
    assert ending(-250) == "signal 250"
    assert ending(-signal.SIGBUS) == "SIGBUS"
