"""What a daemon's process runs. The fork server imports this, so that a daemon starts in no time."""

from pathlib import Path

from stream_assoc.core.sky.vectors import unit_vectors
from stream_assoc.logs import configure_logging
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.instruments import Instruments
from stream_assoc.settings import Settings
from stream_assoc.wiring.daemon import run_daemon

# The first use of any compiled function loads the compiler, which takes longer than all imports.
unit_vectors([0.0], [0.0])


def serve(settings: Settings, log: Path) -> None:
    """Run a daemon until SIGTERM, as ``stream-assoc serve`` does."""
    with log.open("a") as stream:
        configure_logging("json", "info", stream)
        stop = StopRequest(settings.daemon.drain_deadline_seconds)
        stop.on_signals()
        run_daemon(settings, Instruments(), stop)
