"""The process beside a daemon that warms, run with ``python -m``; stdin gives its settings."""

import contextlib
import json
import os
import sys
import threading

from stream_assoc.exceptions import FatalError
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.wiring.child import CANNOT_WORK, begin, end_with_daemon


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


def main() -> None:
    """Follow announcements until the daemon ends this process, or ends."""
    settings, hearing = begin()
    telling = Telling(sys.stdout.fileno())

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
