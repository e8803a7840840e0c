"""``stream-assoc dashboard``: the web page."""

import typer

from stream_assoc.apps.cli.options import ConfigOption, SetOption, settings_of
from stream_assoc.apps.cli.signals import wait_for_signal


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
