"""How a daemon is told to stop, and how long it may take over it."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog

log = structlog.get_logger(__name__)


class StopRequest:
    """Set once; from then on a deadline runs.

    Parameters
    ----------
    deadline_seconds : `float`
        How long the work in hand may still take.
    monotonic : callable, optional
        A clock in seconds.

    Attributes
    ----------
    asked_by : `str`
        The signal that asked first.
    """

    def __init__(self, deadline_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._deadline_seconds = deadline_seconds
        self._monotonic = monotonic
        self._event = threading.Event()
        self._asked_at = 0.0
        self.asked_by = "the program"

    def set(self) -> None:
        """Ask the daemon to stop; asking again changes nothing."""
        if not self._event.is_set():
            self._asked_at = self._monotonic()
            self._event.set()

    def is_set(self) -> bool:
        """Tell whether the daemon was asked to stop."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Let this time pass, or less when the daemon is asked to stop meanwhile."""
        self._event.wait(seconds)

    def seconds_since(self) -> float:
        """Return how long ago the daemon was asked to stop, 0 if it was not."""
        return self._monotonic() - self._asked_at if self.is_set() else 0.0

    def is_overdue(self) -> bool:
        """Tell whether it was asked to, and the deadline has passed."""
        return self.is_set() and self.seconds_since() >= self._deadline_seconds

    def on_signals(self) -> None:
        """Let SIGTERM, SIGINT and SIGHUP ask; call it from the main thread.

        A terminal that is closed sends SIGHUP. Where that is ignored, as under
        ``nohup``, it stays ignored; the others are heeded, also by a program
        that a shell began in the background and that inherits SIGINT ignored.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal)

    def announce(self) -> None:
        """Log that the daemon was asked to stop, when it is: not from the signal's handler, which may not log."""
        threading.Thread(target=self._announce, name="announce-stop", daemon=True).start()

    def _announce(self) -> None:
        self._event.wait()
        log.info("draining", asked_by=self.asked_by, deadline_seconds=self._deadline_seconds)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.is_set():
            self.asked_by = signal.Signals(number).name
        self.set()
