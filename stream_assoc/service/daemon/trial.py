"""Processing messages in a process of their own, to see whether one of them ends it.

The child does what the daemon would. The daemon then finds the result in the
ledger and the outbox, and publishes it, so that a harmless message is not
processed twice and nothing has to be undone.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.failpoints import VARIABLE
from stream_assoc.service.daemon.watched_handler import Tried
from stream_assoc.service.exceptions import TrialUndecidedError
from stream_assoc.settings import Settings

BEGUN: Final = b"b"
"""Written by the child when it begins a message, once everything else is set up."""

SERVICE_AWAY: Final = 75
CANNOT_WORK: Final = 78
DAEMON_GONE: Final = 74
"""Exit codes that are no verdict on a message: EX_TEMPFAIL, EX_CONFIG and EX_IOERR of sysexits.h.

Nobody reads the last one: the daemon that waited for the child was killed.
"""

_START_SECONDS: Final = 300.0
"""Longest time for a child to begin its first message; exceeding it is no fault of the message."""

_LOOK_EVERY_SECONDS: Final = 0.2


class ProcessTrial:
    """Tries messages out in child processes.

    Parameters
    ----------
    settings : `Settings`
        The daemon's own.
    module : `str`
        The module that the child runs.
    on_wait : callable
        Called while the child works, several times a second. What it raises ends the trial.
    """

    def __init__(self, settings: Settings, module: str, on_wait: Callable[[], None]) -> None:
        self._settings = settings
        self._on_wait = on_wait
        self._module = module

    def __call__(self, messages: Sequence[InputMessage]) -> Tried:
        """Try messages out; see `~stream_assoc.service.daemon.watched_handler.Trial`."""
        # A test that lets the daemon die at a failpoint must not let the message die there.
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        with subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            # A signal from the terminal is for the daemon.
            start_new_session=True,
        ) as child:
            try:
                return self._tried(child, pickle.dumps((self._settings, list(messages))))
            finally:
                child.kill()

    def _tried(self, child: "subprocess.Popen[bytes]", task: bytes) -> Tried:
        n_begun, began = 0, time.monotonic()
        given: bytes | None = task
        while True:
            try:
                said, _ = child.communicate(given, timeout=_LOOK_EVERY_SECONDS)
                break
            except subprocess.TimeoutExpired as unfinished:
                given, heard = None, unfinished.output or b""
                if len(heard) > n_begun:
                    n_begun, began = len(heard), time.monotonic()
                limit = self._settings.daemon.trial_seconds if n_begun else _START_SECONDS
                if time.monotonic() - began > limit:
                    return _verdict(heard, "it took longer than daemon.trial_seconds")
                self._on_wait()
        if child.returncode == SERVICE_AWAY:
            raise TrialUndecidedError("a message could not be tried in a process of its own: a service is away")
        if child.returncode == 0:
            return Tried(len(said))
        if child.returncode == CANNOT_WORK:
            # The daemon gets the same error itself.
            return Tried(max(0, len(said) - 1))
        return _verdict(said, ending(child.returncode))


def _verdict(said: bytes, end: str) -> Tried:
    """Return the verdict on the message that was begun last, if any was."""
    return Tried(len(said) - 1, end) if said else Tried(0)


def ending(code: int) -> str:
    """Return how a process ended, from its exit code as `subprocess` gives it."""
    if code >= 0:
        return f"an error that was not foreseen, exit code {code}; its traceback is in the daemon's log"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, which the kernel also sends for want of memory" if -code == signal.SIGKILL else name
