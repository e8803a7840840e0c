"""``stream-assoc serve``: the daemon."""

import contextlib

from stream_assoc.cli.options import ConfigOption, SetOption, settings_of


def serve(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Process batches until SIGTERM or SIGINT, each exactly once.

    A signal lets the batch in hand be finished and committed, within
    daemon.drain_deadline_seconds.
    """
    # A mistake in the settings is told before the rooms, which take seconds, are imported.
    settings = settings_of(config, set_)

    from stream_assoc.daemon.heap import collect_rarely, keep_for_good, keep_freed_memory

    # Before the imports, of which there are many.
    collect_rarely()
    keep_freed_memory()

    from structlog import get_logger

    from stream_assoc.daemon.stopping import StopRequest
    from stream_assoc.daemon.supervision import supervise
    from stream_assoc.logs import configure_logging
    from stream_assoc.metrics import instruments as prometheus

    configure_logging(settings.logging.format, settings.logging.level)
    keep_for_good()
    stop = StopRequest(settings.daemon.drain_deadline_seconds)
    stop.on_signals()
    instruments = prometheus.Instruments()
    with contextlib.ExitStack() as stack:
        if settings.metrics.prometheus_port is not None:
            server = prometheus.serve(instruments, settings.metrics.prometheus_port, settings.metrics.prometheus_host)
            stack.callback(server.close)
        if settings.dashboard.enabled:
            from stream_assoc.web.server import Dashboard

            dashboard = stack.enter_context(Dashboard(settings))
            get_logger(__name__).info("dashboard", url=dashboard.url)
        supervise(settings, instruments, stop)
