"""What a daemon's process runs. The fork server imports this, so that a daemon starts in no time."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from prometheus_client import write_to_textfile

from stream_assoc.core.sky.vectors import unit_vectors
from stream_assoc.logs import configure_logging
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.instruments import Instruments
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.postgresql.session import PostgresqlSession
from stream_assoc.wiring.daemon import run_daemon

P = ParamSpec("P")
R = TypeVar("R")

# The first use of any compiled function loads the compiler, which takes longer than all imports.
unit_vectors([0.0], [0.0])


def serve(settings: Settings, log: Path) -> None:
    """Run a daemon until SIGTERM, as ``stream-assoc serve`` does; leave its last metrics beside the log."""
    instruments = Instruments()
    with log.open("a") as stream:
        configure_logging("json", "info", stream)
        stop = StopRequest(settings.daemon.drain_deadline_seconds)
        stop.on_signals()
        stand_still_when_asked()
        run_daemon(settings, instruments, stop)
    write_to_textfile(str(log.with_suffix(f".{os.getpid()}.prom")), instruments.registry)


def stand_still_when_asked() -> None:
    """Let SIGUSR1 make the process stop itself before its next commit on a server, when it holds cells."""
    asked = threading.Event()

    def standing_still(commit: Callable[P, R]) -> Callable[P, R]:
        def commit_or_stand_still(*arguments: P.args, **named: P.kwargs) -> R:
            if asked.is_set():
                asked.clear()
                os.kill(os.getpid(), signal.SIGSTOP)
            return commit(*arguments, **named)

        return commit_or_stand_still

    # The process is a test's own, and runs one daemon.
    Groups.commit = standing_still(Groups.commit)  # type: ignore[method-assign]
    PostgresqlSession.commit = standing_still(PostgresqlSession.commit)  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, lambda *_: asked.set())
