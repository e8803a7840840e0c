"""What every process beside a daemon does: take the settings, give way, and end with the daemon."""

import os
import pickle
import signal
import sys
import threading
from typing import Final, NoReturn

from stream_assoc.service.beside import BUSY, LENGTH_BYTES
from stream_assoc.settings import Settings

CANNOT_WORK: Final = 78
"""EX_CONFIG of sysexits.h; why is in the log."""

_NICENESS: Final = 10


def begin() -> tuple[Settings, "Hearing"]:
    """Begin as a child, nice to others and deaf to the terminal; return the settings, and what hears the daemon.

    From then on, while all else is imported, the daemon's end is noticed.
    """
    for stopping in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stopping, signal.SIG_IGN)
    os.nice(_NICENESS)
    try:
        settings = read_settings(sys.stdin.fileno())
    except EOFError:
        sys.exit()
    return settings, Hearing(sys.stdin.fileno())


def end_with_daemon() -> NoReturn:
    """End this process, wherever it is: nothing is lost with one that warms, or makes alerts."""
    os._exit(0)


class Hearing:
    """Whether a batch is in hand, as the daemon tells; when the daemon ends, so does this process.

    Parameters
    ----------
    descriptor : `int`
        What the daemon writes to.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_busy = False
        threading.Thread(target=self._listen, name="daemon", daemon=True).start()

    def is_busy(self) -> bool:
        """Tell whether a batch is in hand."""
        return self._is_busy

    def _listen(self) -> None:
        while said := os.read(self._descriptor, 4096):
            self._is_busy = said[-1:] == BUSY
        end_with_daemon()


def read_settings(descriptor: int) -> Settings:
    """Return what the daemon writes first.

    Raises
    ------
    EOFError
        If the daemon ended before it had written all.
    """

    def read(n_bytes: int) -> bytes:
        read = b""
        while len(read) < n_bytes:
            if not (more := os.read(descriptor, n_bytes - len(read))):
                raise EOFError
            read += more
        return read

    settings = pickle.loads(read(int.from_bytes(read(LENGTH_BYTES), "big")))  # noqa: S301 - by the daemon, by a pipe
    assert isinstance(settings, Settings)  # noqa: S101 - no other program writes here
    return settings
