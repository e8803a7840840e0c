"""``stream-assoc serve`` and ``dashboard``, and the signals that end a command."""

import contextlib
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from stream_assoc import __version__
from stream_assoc.apps.cli.app import ConfigOption, SetOption, closing, settings_of
from stream_assoc.settings import Settings

if TYPE_CHECKING:
    from stream_assoc.service.daemon.health import Health, Verdict
    from stream_assoc.service.daemon.process import StopRequest
    from stream_assoc.service.http.endpoint import Registered
    from stream_assoc.service.instruments import Instruments

SERVE_HELP = closing(
    "stream-assoc serve",
    "stream-assoc serve --config /etc/stream-assoc.toml --set logging.level=debug",
    "stream-assoc serve --set metrics.prometheus_port=9100",
    codes="0 after SIGTERM, SIGINT or SIGHUP, 2 when it was refused or gave up (daemon.restart_budget)",
)


def serve(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Process batches until SIGTERM, SIGINT or SIGHUP, each exactly once.

    Needs an APDB (`apdb init`), the topics (`topics init`) and Redis. If
    a service is unavailable, it waits. On a signal it finishes and commits the
    current batches, within daemon.drain_deadline_seconds. With
    metrics.prometheus_port set, /metrics, /healthz and /readyz answer there.
    """
    # Report a mistake in the settings before importing the daemon, which takes seconds.
    settings = settings_of(config, set_)

    from stream_assoc.service.daemon.heap import collect_rarely, keep_for_good, keep_freed_memory

    # Before the imports, of which there are many.
    collect_rarely()
    keep_freed_memory()

    import structlog

    from stream_assoc.logs import configure_logging
    from stream_assoc.service.daemon.process import StopRequest
    from stream_assoc.service.http.endpoint import ALIVE_PATH, READY_PATH
    from stream_assoc.service.http.limits import raise_descriptor_limit
    from stream_assoc.service.instruments import Instruments
    from stream_assoc.wiring.daemon import run_daemon
    from stream_assoc.wiring.settings_check import check_settings

    check_settings(settings)
    configure_logging(settings.logging.format, settings.logging.level)
    keep_for_good()
    raise_descriptor_limit()
    stop = StopRequest(settings.daemon.drain_deadline_seconds)
    stop.on_signals()
    instruments = Instruments()
    health = _health(settings, instruments, stop)
    log = structlog.get_logger("stream_assoc.serve")
    with contextlib.ExitStack() as stack:
        questions = {ALIVE_PATH: health.alive, READY_PATH: health.ready}
        port = stack.enter_context(answering(settings, instruments, questions))
        log.info(
            "starting",
            version=__version__,
            python=platform.python_version(),
            http_port=port,
            **_told(settings),
        )
        if settings.dashboard.enabled:
            from stream_assoc.apps.web.server import Dashboard

            log.info("dashboard", url=stack.enter_context(Dashboard(settings)).url)
        stop.announce()
        run_daemon(settings, instruments, stop, health)
    log.info("stopped", asked_by=stop.asked_by, seconds=round(stop.seconds_since(), 1))


def _told(settings: Settings) -> dict[str, object]:
    """Return what the first line tells of the settings: all of them to programs, to people where everything is."""
    if settings.logging.format == "json":
        return {"configuration": settings.masked()}
    kafka = settings.kafka
    return {
        "kafka": kafka.bootstrap_servers,
        "topic": kafka.input_topic,
        "group": kafka.group_id,
        "apdb": str(settings.apdb.url),
        "redis": str(settings.redis.url),
    }


def _health(settings: Settings, instruments: "Instruments", stop: "StopRequest") -> "Health":
    from stream_assoc.service.daemon.health import Health
    from stream_assoc.service.daemon.process import ServiceManager

    manager = ServiceManager.of_environment()
    return Health(
        instruments,
        wedged_after_seconds=settings.daemon.wedged_after_seconds,
        silent_after_seconds=3 * settings.daemon.probe_seconds,
        is_stopping=stop.is_set,
        on_phase=manager.enter,
        on_progress=manager.note_progress,
    )


@contextlib.contextmanager
def answering(
    settings: Settings, instruments: "Registered", questions: "Mapping[str, Callable[[], Verdict]]"
) -> Iterator[int | None]:
    """Answer over HTTP where that is configured; give the port."""
    from stream_assoc.service.http.endpoint import MetricsServer

    if settings.metrics.prometheus_port is None:
        yield None
        return
    server = MetricsServer(instruments, settings.metrics.prometheus_port, settings.metrics.prometheus_host, questions)
    with contextlib.closing(server):
        yield server.port


def dashboard(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Serve a web page with live visits, the sky, objects and their light curves, until Ctrl-C.

    Reads the metrics topic and the APDB, and writes to neither. It listens at
    dashboard.host and dashboard.port: on this machine only, unless you say so.
    """
    settings = settings_of(config, set_)

    from stream_assoc.apps.web.server import Dashboard
    from stream_assoc.logs import configure_logging
    from stream_assoc.service.http.limits import raise_descriptor_limit

    configure_logging(settings.logging.format, settings.logging.level)
    raise_descriptor_limit()
    with Dashboard(settings) as server:
        typer.echo(f"Dashboard at {server.url} (Ctrl-C ends it)")
        wait_for_signal()


def wait_for_signal() -> None:
    """Wait for SIGTERM, SIGINT or SIGHUP, and take it for the wish to end."""
    ended = threading.Event()
    _on_ending(lambda number, frame: ended.set())
    ended.wait()


def interrupt_on_signals() -> None:
    """Let every signal that ends a command do what Ctrl-C does, so that a command that owns processes ends them."""
    _on_ending(signal.default_int_handler)


def _on_ending(handler: Callable[[int, FrameType | None], Any]) -> None:
    """Handle what ends a command; SIGHUP, which a closed terminal sends, stays ignored under ``nohup``."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)
