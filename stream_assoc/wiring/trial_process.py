"""The child process of `stream_assoc.service.daemon.trial`, run with ``python -m``; it reads its task from stdin."""

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Sequence

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import FatalError, RetriableError
from stream_assoc.service.daemon.trial import BEGUN, CANNOT_WORK, DAEMON_GONE, SERVICE_AWAY
from stream_assoc.settings import Settings


def work(settings: Settings, messages: Sequence[InputMessage]) -> None:
    """Process messages up to the APDB commit; write to standard output when each is begun.

    Raises
    ------
    RetriableError
        If a service is away.
    FatalError
        If a service cannot be used as configured.
    """
    from stream_assoc.logs import configure_logging
    from stream_assoc.service.instruments import Instruments
    from stream_assoc.wiring.daemon import handler_of
    from stream_assoc.wiring.stores import open_services

    configure_logging(settings.logging.format, settings.logging.level)
    with open_services(settings) as services:
        handler = handler_of(settings, services, Instruments())
        for message in messages:
            announce(sys.stdout.fileno())
            handler.answer([message])
            # Entries that are not written are rebuilt when they are needed.
            with contextlib.suppress(RetriableError):
                handler.finish({})


def announce(descriptor: int) -> None:
    """Tell the daemon that the next message is begun; end this process quietly if the daemon was killed."""
    try:
        os.write(descriptor, BEGUN)
    except BrokenPipeError:
        sys.exit(DAEMON_GONE)


def main() -> None:
    """Read the task and do it; the exit code says how it ended."""
    # The daemon decides when to stop, and ends this process then.
    for stopping in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stopping, signal.SIG_IGN)
    try:
        settings, messages = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by the daemon, through a pipe
    except (EOFError, pickle.UnpicklingError):
        # The daemon was killed before it had written the whole task.
        sys.exit(DAEMON_GONE)
    try:
        work(settings, messages)
    except RetriableError:
        sys.exit(SERVICE_AWAY)
    except FatalError:
        sys.exit(CANNOT_WORK)


if __name__ == "__main__":
    main()
