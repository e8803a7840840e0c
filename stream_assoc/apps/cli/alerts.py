"""``stream-assoc alerts``: the daemon that publishes an alert for each source, and a look at what it publishes."""

import platform
from typing import TYPE_CHECKING

import typer

from stream_assoc import __version__
from stream_assoc.apps.cli.app import App, ConfigOption, SetOption, closing, settings_of, without_client_logs
from stream_assoc.apps.cli.serve import answering
from stream_assoc.apps.cli.tail import (
    BandOption,
    BeginningOption,
    LimitOption,
    ObjectOption,
    SinceOption,
    UntilEndOption,
    VisitOption,
    first,
    subscribed,
)
from stream_assoc.settings import Settings

if TYPE_CHECKING:
    from stream_assoc.messaging.avro.alerts.decoder import Alert

app = App(
    help="Publish an alert for each stored source, and look at alerts.",
    epilog=closing(
        "stream-assoc alerts",
        "stream-assoc alerts --set metrics.prometheus_port=9102",
        "stream-assoc alerts tail -n 5",
    ),
)


@app.callback(invoke_without_command=True)
def alerts(context: typer.Context, config: ConfigOption = None, set_: SetOption = None) -> None:
    """Make the alerts of each committed batch until SIGTERM, SIGINT or SIGHUP, each exactly once.

    Reads kafka.metrics_topic and the APDB, and publishes to kafka.alerts_topic in Rubin's schema ([alerts]). It
    never slows `serve`. Several share the work. With metrics.prometheus_port set, /metrics, /healthz and /readyz
    answer there.
    """
    if context.invoked_subcommand is None:
        _run(settings_of(config, set_))


def _run(settings: Settings) -> None:
    from stream_assoc.service.daemon.heap import collect_rarely, keep_for_good, keep_freed_memory

    # Before the imports, of which there are many.
    collect_rarely()
    keep_freed_memory()

    import structlog

    from stream_assoc.logs import configure_logging
    from stream_assoc.service.alerts.instruments import AlertInstruments
    from stream_assoc.service.daemon.health import Health
    from stream_assoc.service.daemon.process import ServiceManager, StopRequest
    from stream_assoc.service.http.endpoint import ALIVE_PATH, READY_PATH
    from stream_assoc.wiring.alerts import group_of, run_alerts
    from stream_assoc.wiring.settings_check import check_settings

    check_settings(settings)
    configure_logging(settings.logging.format, settings.logging.level)
    keep_for_good()
    stop = StopRequest(settings.daemon.drain_deadline_seconds)
    stop.on_signals()
    instruments, manager = AlertInstruments(), ServiceManager.of_environment()
    health = Health(
        instruments,
        wedged_after_seconds=settings.daemon.wedged_after_seconds,
        silent_after_seconds=3 * settings.daemon.probe_seconds,
        is_stopping=stop.is_set,
        on_phase=manager.enter,
        on_progress=manager.note_progress,
    )
    log = structlog.get_logger("stream_assoc.alerts")
    with answering(settings, instruments, {ALIVE_PATH: health.alive, READY_PATH: health.ready}) as port:
        log.info(
            "starting",
            version=__version__,
            python=platform.python_version(),
            http_port=port,
            kafka=settings.kafka.bootstrap_servers,
            reads=settings.kafka.metrics_topic,
            writes=settings.kafka.alerts_topic,
            group=group_of(settings),
            apdb=str(settings.apdb.url),
        )
        stop.announce()
        run_alerts(settings, instruments, stop, health)
    log.info("stopped", asked_by=stop.asked_by, seconds=round(stop.seconds_since(), 1))


@app.command(
    epilog=closing(
        "stream-assoc alerts tail -n 5", "stream-assoc alerts tail --since 2h --object 8493935366254887036"
    )
)
def tail(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    config: ConfigOption = None,
    set_: SetOption = None,
    from_beginning: BeginningOption = False,
    since: SinceOption = None,
    object_: ObjectOption = None,
    visit: VisitOption = None,
    band: BandOption = None,
    limit: LimitOption = None,
    until_end: UntilEndOption = False,
) -> None:
    """Show each alert as it is published, a line each; Ctrl-C ends it.

    Reads outside of any consumer group: it takes no alert from anyone. `earlier` counts the sources before it;
    stamps are d(ifference), s(cience) and t(emplate). Filters choose; --limit counts what they let through.
    """
    from stream_assoc.tools.subscription.subscribe import ALERTS

    def is_wanted(alert: "Alert") -> bool:
        chosen = {"diaObjectId": object_, "visit": visit, "band": band}
        return all(alert[column] in values for column, values in chosen.items() if values)

    kafka = without_client_logs(settings_of(config, set_).kafka)
    typer.echo(_HEADING)
    for alert in subscribed(kafka, ALERTS, first(from_beginning, since), until_end, is_wanted, limit):
        typer.echo(_line(alert))


_HEADING = f"{'diaSourceId':>19} {'diaObjectId':>19} {'band':>4} {'psfFlux':>10} {'snr':>6} {'earlier':>7} stamps"


def _line(alert: "Alert") -> str:
    source = alert.record["diaSource"]
    earlier = len(alert.record["prvDiaSources"] or ())
    stamps = "".join(
        letter if stamp else "-"
        for letter, stamp in (("d", alert.difference), ("s", alert.science), ("t", alert.template))
    )
    flux, snr = source["psfFlux"], source["snr"]
    return (
        f"{alert.diaSourceId:>19} {source['diaObjectId'] or 0:>19} {source['band'] or '':>4} "
        f"{'' if flux is None else format(flux, '.1f'):>10} {'' if snr is None else format(snr, '.1f'):>6} "
        f"{earlier:>7} {stamps}"
    )
