"""A process beside a daemon: one that warms, or makes alerts.

A thread of the daemon's would take Python's lock from a batch in hand, and a
crash in it, of a statistics plugin for instance, would end the daemon. The
child is nice to whoever wants the processors, and is told when a batch is in
hand. What it does it tells on its standard output, a line each. If it ends it
is started again; if the daemon ends, however that happens, so does the child.
"""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Self

import structlog

from stream_assoc.failpoints import VARIABLE
from stream_assoc.service.daemon.retry import Backoff
from stream_assoc.settings import Settings

BUSY: Final = b"1"
FREE: Final = b"0"
"""Written to the child when a batch is taken in hand, and when it is done."""

LENGTH_BYTES: Final = 8
"""Before the settings, which come first, stands how many bytes they have."""

_WELL_AFTER_SECONDS: Final = 60.0
"""If a child that lived for so long ends, the waits before another begin anew."""

log = structlog.get_logger(__name__)


class ProcessBeside:
    """A child process, while the block lasts that it is entered for.

    Parameters
    ----------
    settings : `Settings`
        The daemon's own.
    module : `str`
        The module that the child runs.
    hear : `Mapping` [`str`, callable]
        What is called with what the child tells, by the first word of its line.
    backoff : `Backoff`
        How long to wait before a child is started again.
    what : `str`
        What it does, for the log.
    """

    def __init__(
        self, settings: Settings, module: str, hear: Mapping[str, Callable[..., None]], backoff: Backoff, what: str
    ) -> None:
        self._task = pickle.dumps(settings)
        self._module = module
        self._hear = hear
        self._backoff = backoff
        self._what = what
        self._stopped = threading.Event()
        self._mutex = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_busy = False
        self._thread = threading.Thread(target=self._supervise, name=what, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        with self._mutex:
            if self._child is not None:
                self._child.kill()
        self._thread.join()

    @contextlib.contextmanager
    def in_hand(self) -> Iterator[None]:
        """Let the child give way for the length of the block, in which a batch is in hand."""
        self._set_busy(is_busy=True)
        try:
            yield
        finally:
            self._set_busy(is_busy=False)

    def _set_busy(self, *, is_busy: bool) -> None:
        with self._mutex:
            self._is_busy = is_busy
            self._say()

    def _say(self) -> None:
        """Tell the child whether a batch is in hand, if it listens: the daemon does not wait for it."""
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._child.stdin.fileno(), BUSY if self._is_busy else FREE)

    def _supervise(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            with self._started() as child:
                begin = time.monotonic()
                self._listen(child)
                code = child.wait()
            if self._stopped.is_set():
                return
            failures = 1 if time.monotonic() - begin > _WELL_AFTER_SECONDS else failures + 1
            wait = self._backoff.wait_seconds(failures, 0.0)
            log.warning("process beside ended", process=self._what, exit_code=code, wait_seconds=round(wait, 2))
            self._stopped.wait(wait)

    @contextlib.contextmanager
    def _started(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a child, give it the settings, and let it be told of batches in hand from then on."""
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        child = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            # A signal from the terminal is for the daemon.
            start_new_session=True,
        )
        assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - asked for above
        try:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(len(self._task).to_bytes(LENGTH_BYTES, "big") + self._task)
                child.stdin.flush()
            os.set_blocking(child.stdin.fileno(), False)
            with self._mutex:
                self._child = child
                self._say()
                if self._stopped.is_set():
                    child.kill()
            yield child
        finally:
            with self._mutex:
                self._child = None
                child.kill()
                # What it did not take before it died is still to be written.
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.close()
            child.stdout.close()
            child.wait()

    def _listen(self, child: "subprocess.Popen[bytes]") -> None:
        """Pass on what the child tells, until it ends."""
        assert child.stdout is not None  # noqa: S101 - asked for when it was started
        for line in child.stdout:
            try:
                word, *values = json.loads(line)
            except ValueError:
                # The last line of a child that was killed.
                continue
            self._hear[word](*values)
