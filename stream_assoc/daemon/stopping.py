"""How a daemon is told to stop, and how long it may take over it."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType


class StopRequest:
    """Set once; from then on a deadline runs.

    Parameters
    ----------
    deadline_seconds : `float`
        How long the work in hand may still take.
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(self, deadline_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._deadline_seconds = deadline_seconds
        self._monotonic = monotonic
        self._event = threading.Event()
        self._asked_at = 0.0

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

    def is_overdue(self) -> bool:
        """Tell whether it was asked to, and the deadline has passed."""
        return self.is_set() and self._monotonic() - self._asked_at >= self._deadline_seconds

    def on_signals(self) -> None:
        """Let SIGTERM and SIGINT ask; call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.set()
