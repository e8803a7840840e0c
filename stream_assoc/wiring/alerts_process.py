"""The process beside a daemon that makes alerts, run with ``python -m``; stdin gives its settings."""

import sys

from stream_assoc.exceptions import FatalError
from stream_assoc.wiring.child import CANNOT_WORK, begin


def main() -> None:
    """Make alerts until the daemon ends this process, or ends: killed anywhere, nothing is lost or double."""
    settings, _ = begin()

    from stream_assoc.service.daemon.heap import collect_rarely, keep_freed_memory

    collect_rarely()
    keep_freed_memory()

    import structlog

    from stream_assoc.logs import configure_logging
    from stream_assoc.service.alerts.instruments import AlertInstruments
    from stream_assoc.service.daemon.process import StopRequest
    from stream_assoc.wiring.alerts import run_alerts

    configure_logging(settings.logging.format, settings.logging.level)
    log = structlog.get_logger("stream_assoc.alerts")
    try:
        run_alerts(settings, AlertInstruments(), StopRequest(settings.daemon.drain_deadline_seconds))
    except FatalError as error:
        log.error("cannot make alerts", error=str(error))  # noqa: TRY400 - the sentence says it all
        sys.exit(CANNOT_WORK)


if __name__ == "__main__":
    main()
