"""``stream-assoc``: the commands put together, and how they end."""

import sys
from typing import Annotated

import typer

from stream_assoc import __version__
from stream_assoc.cli.apdb import app as apdb_app
from stream_assoc.cli.cache import app as cache_app
from stream_assoc.cli.config import app as config_app
from stream_assoc.cli.demo import demo
from stream_assoc.cli.dlq import app as dlq_app
from stream_assoc.cli.replay import app as replay_app
from stream_assoc.cli.report import report as report_night
from stream_assoc.cli.run_visit import run_visit
from stream_assoc.cli.schemas import app as schemas_app
from stream_assoc.cli.serve import serve
from stream_assoc.cli.simulate import simulate
from stream_assoc.cli.tail import forced_sources_app, metrics_app, objects_app
from stream_assoc.cli.topics import app as topics_app
from stream_assoc.exceptions import FatalError, StreamAssocError

FATAL_CODE = 2
FAILURE_CODE = 1

app = typer.Typer(
    name="stream-assoc",
    help="Associate DIASources with DIAObjects as they stream in, each batch exactly once.",
    no_args_is_help=True,
    # Typer's own tracebacks would print local variables, and with them secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)

app.command("report")(report_night)
app.command()(run_visit)
app.command()(simulate)
app.command()(demo)
app.add_typer(apdb_app, name="apdb")
app.add_typer(cache_app, name="cache")
app.add_typer(config_app, name="config")
app.add_typer(topics_app, name="topics")
app.add_typer(metrics_app, name="metrics")
app.add_typer(objects_app, name="objects")
app.add_typer(forced_sources_app, name="forced-sources")
app.add_typer(schemas_app, name="schemas")
app.add_typer(dlq_app, name="dlq")
app.add_typer(replay_app, name="replay")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Associate DIASources with DIAObjects as they stream in, each batch exactly once."""


def run() -> None:
    """Run the command line and exit.

    The exit code is 0 on success, 2 for wrong usage, wrong configuration and
    any other `FatalError`, 130 after an interrupt, and 1 for every other
    failure. An error of this package is one red line on standard error;
    ``--debug`` (before the command) shows its traceback as well.
    """
    try:
        app()
    except StreamAssocError as error:
        if "--debug" in sys.argv[1:]:
            raise
        report(error)
        sys.exit(FATAL_CODE if isinstance(error, FatalError) else FAILURE_CODE)


def report(error: StreamAssocError) -> None:
    """Write an error to standard error as one red line a cause."""
    typer.secho(str(error) or type(error).__name__, fg=typer.colors.RED, err=True)
