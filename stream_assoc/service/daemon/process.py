"""The daemon as a process: how it is asked to stop, and what it tells systemd."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

import structlog

from stream_assoc.service.daemon.health import Phase

log = structlog.get_logger(__name__)


class StopRequest:
    """Set once; from then on a deadline runs.

    Parameters
    ----------
    deadline_seconds : `float`
        How long the current micro-batch may still take.
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
        """Wait this long, or until the daemon is asked to stop."""
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


class ServiceManager:
    """systemd, where it started this process: it is told that the daemon is ready, stopping, and alive.

    The protocol is a datagram to the socket that ``NOTIFY_SOCKET`` names; see
    sd_notify(3). Without that variable nothing is sent.

    Parameters
    ----------
    address : `str` or `None`
        Its socket; `None` if nothing is to be sent.
    watchdog_seconds : `float`, optional
        It ends a process that it has not heard from for that long; 0 for never.
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(
        self,
        address: str | None,
        watchdog_seconds: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # An at sign stands for the null byte of an abstract address.
        self._address = address.replace("@", "\0", 1) if address and address.startswith("@") else address
        # Twice as often as required, as sd_watchdog_enabled(3) advises.
        self._every_seconds = watchdog_seconds / 2
        self._monotonic = monotonic
        self._next = 0.0

    @classmethod
    def of_environment(cls) -> Self:
        """Return the one that systemd's variables describe; without them, one that sends nothing."""
        return cls(os.environ.get("NOTIFY_SOCKET"), float(os.environ.get("WATCHDOG_USEC", "0")) / 1e6)

    def enter(self, phase: Phase) -> None:
        """Send a new phase of the daemon's life."""
        state = {"running": "READY=1\n", "stopping": "STOPPING=1\n"}.get(phase, "")
        self._send(f"{state}STATUS={phase}")

    def note_progress(self) -> None:
        """Send a sign of life, as often as the watchdog requires."""
        if self._every_seconds and self._monotonic() >= self._next:
            self._next = self._monotonic() + self._every_seconds
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifying:
                notifying.sendto(message.encode(), self._address)
        except OSError as error:
            log.warning("service manager not told", error=str(error))
