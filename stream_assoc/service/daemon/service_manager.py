"""Telling systemd how the daemon does: ready, stopping, and that its loop goes round.

The protocol is a datagram to the socket that ``NOTIFY_SOCKET`` names; see
sd_notify(3). Without that variable nothing is sent.
"""

import os
import socket
import time
from collections.abc import Callable
from typing import Self

import structlog

from stream_assoc.service.daemon.health import Phase

log = structlog.get_logger(__name__)


class ServiceManager:
    """What started this process and wants to be told, if that is systemd.

    Parameters
    ----------
    address : `str` or `None`
        Its socket; `None` if nobody wants to be told.
    watchdog_seconds : `float`, optional
        It ends a process that it has not heard of for that long; 0 for never.
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
        # Twice as often as need be, as sd_watchdog_enabled(3) advises.
        self._every_seconds = watchdog_seconds / 2
        self._monotonic = monotonic
        self._next = 0.0

    @classmethod
    def of_environment(cls) -> Self:
        """Return the one that systemd's variables tell of, or one that nothing is told."""
        return cls(os.environ.get("NOTIFY_SOCKET"), float(os.environ.get("WATCHDOG_USEC", "0")) / 1e6)

    def enter(self, phase: Phase) -> None:
        """Tell a new phase of the daemon's life."""
        state = {"running": "READY=1\n", "stopping": "STOPPING=1\n"}.get(phase, "")
        self._tell(f"{state}STATUS={phase}")

    def turn(self) -> None:
        """Tell that the loop goes round, as often as the watchdog wants to know."""
        if self._every_seconds and self._monotonic() >= self._next:
            self._next = self._monotonic() + self._every_seconds
            self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifying:
                notifying.sendto(message.encode(), self._address)
        except OSError as error:
            log.warning("service manager not told", error=str(error))
