"""The child process of `stream_assoc.service.warming.process`, run with ``python -m``; stdin gives its settings."""

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
from typing import Final, NoReturn

from stream_assoc.exceptions import FatalError
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.service.warming.process import BUSY, LENGTH_BYTES
from stream_assoc.settings import Settings

CANNOT_WORK: Final = 78
"""EX_CONFIG of sysexits.h; why is in the log."""

_NICENESS: Final = 10


class Telling:
    """An `~stream_assoc.service.warming.follower.Observer` in another process: tells it a line for each call."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def announced(self) -> None:
        """See `Observer.announced`."""
        self.tell("announced")

    def dropped(self, reason: str) -> None:
        """See `Observer.dropped`."""
        self.tell("dropped", reason)

    def warmed(self, portion: Warmed) -> None:
        """See `Observer.warmed`."""
        self.tell("warmed", portion.tiles, portion.states, portion.written_tiles, portion.written_states)

    def finished(self, seconds: float, lead_seconds: float) -> None:
        """See `Observer.finished`."""
        self.tell("finished", seconds, lead_seconds)

    def sighted(self, ra: float, dec: float) -> None:
        """Tell that a position was announced, to whomever."""
        self.tell("sighted", ra, dec)

    def tell(self, word: str, *values: object) -> None:
        """Write a line at once; lines of several threads do not mix, as a pipe takes each whole."""
        try:
            os.write(self._descriptor, json.dumps([word, *values]).encode() + b"\n")
        except BrokenPipeError:
            end_with_daemon()


def end_with_daemon() -> NoReturn:
    """End this process, wherever it is: nothing is lost with one that warms."""
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


def main() -> None:
    """Follow announcements until the daemon ends this process, or ends."""
    for stopping in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stopping, signal.SIG_IGN)
    os.nice(_NICENESS)
    try:
        settings = read_settings(sys.stdin.fileno())
    except EOFError:
        sys.exit()
    # From here on, while all is imported, the daemon's end is noticed.
    hearing, telling = Hearing(sys.stdin.fileno()), Telling(sys.stdout.fileno())

    import structlog

    from stream_assoc.logs import configure_logging
    from stream_assoc.service.daemon.process import StopRequest
    from stream_assoc.wiring.warming import follow, sight

    configure_logging(settings.logging.format, settings.logging.level)
    stop, log = StopRequest(0.0), structlog.get_logger("stream_assoc.warming")

    def sightings() -> None:
        # What keeps it from reading keeps the follower too, which tells.
        with contextlib.suppress(FatalError):
            sight(settings, stop, telling.sighted)

    threading.Thread(target=sightings, name="sightings", daemon=True).start()
    try:
        follow(settings, stop, telling, hearing.is_busy)
    except FatalError as error:
        log.error("cannot warm", error=str(error))  # noqa: TRY400 - the sentence says it all
        sys.exit(CANNOT_WORK)


if __name__ == "__main__":
    main()
