"""``stream-assoc``: the commands put together, and how they end."""

import sys
from typing import Annotated, Final

import typer

from stream_assoc import __version__
from stream_assoc.apps.cli.alerts import app as alerts_app
from stream_assoc.apps.cli.announce import ANNOUNCE_HELP, announce
from stream_assoc.apps.cli.apdb import app as apdb_app
from stream_assoc.apps.cli.app import FAILURE_CODES, App, CommandError, closing
from stream_assoc.apps.cli.associate import ASSOCIATE_HELP, associate
from stream_assoc.apps.cli.backup import APPLY_HELP, BEGIN_HELP, END_HELP, apply_plans, begin_backup, end_backup
from stream_assoc.apps.cli.cache import app as cache_app
from stream_assoc.apps.cli.copying import COPY_HELP, copy
from stream_assoc.apps.cli.demo import DEMO_HELP, demo
from stream_assoc.apps.cli.dlq import app as dlq_app
from stream_assoc.apps.cli.explain import explain
from stream_assoc.apps.cli.replay import app as replay_app
from stream_assoc.apps.cli.replica import app as replica_app
from stream_assoc.apps.cli.report import report as report_night
from stream_assoc.apps.cli.serve import SERVE_HELP, dashboard, serve
from stream_assoc.apps.cli.setup import config_app, schemas_app, topics_app
from stream_assoc.apps.cli.simulate import SIMULATE_HELP, simulate
from stream_assoc.apps.cli.tail import forced_sources_app, metrics_app, objects_app
from stream_assoc.exceptions import FatalError, StreamAssocError
from stream_assoc.private_files import keep_private

FATAL_CODE = 2
FAILURE_CODE = 1

app = App(
    name="stream-assoc",
    no_args_is_help=True,
    epilog=closing(
        "stream-assoc demo",
        "stream-assoc serve --help",
        codes=f"{FAILURE_CODES}, 130 when interrupted",
    ),
    # Typer's own tracebacks would print local variables, and with them secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=SERVE_HELP)(serve)
app.command(epilog=closing("stream-assoc dashboard", "stream-assoc dashboard --set dashboard.port=8080"))(dashboard)
app.command(
    epilog=closing("stream-assoc explain 8493935366254887036", "stream-assoc explain 8493935366254887036 --json")
)(explain)
app.command(
    "report",
    epilog=closing(
        "stream-assoc report --night 20251120", "stream-assoc report --night 20251120 --output night.html"
    ),
)(report_night)
app.command(epilog=ASSOCIATE_HELP)(associate)
# The name that `associate` had before.
app.command("run-visit", epilog=ASSOCIATE_HELP, hidden=True)(associate)
app.command(epilog=ANNOUNCE_HELP)(announce)
app.command(epilog=SIMULATE_HELP)(simulate)
app.command(epilog=DEMO_HELP)(demo)
apdb_app.command("copy", epilog=COPY_HELP)(copy)
apdb_app.command("begin-backup", epilog=BEGIN_HELP)(begin_backup)
apdb_app.command("end-backup", epilog=END_HELP)(end_backup)
apdb_app.command("apply-plans", epilog=APPLY_HELP)(apply_plans)
app.add_typer(apdb_app, name="apdb")
app.add_typer(cache_app, name="cache")
app.add_typer(config_app, name="config")
app.add_typer(topics_app, name="topics")
app.add_typer(metrics_app, name="metrics")
app.add_typer(objects_app, name="objects")
app.add_typer(forced_sources_app, name="forced-sources")
app.add_typer(schemas_app, name="schemas")
app.add_typer(alerts_app, name="alerts")
app.add_typer(dlq_app, name="dlq")
app.add_typer(replay_app, name="replay")
app.add_typer(replica_app, name="replica")


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
    """Associate DIASources with DIAObjects as they stream in, each batch exactly once.

    To try it with no servers to set up: demo. To run it: config check, apdb
    init, topics init, serve. To send it a night: simulate and replay. To watch
    it: metrics tail, objects tail, dlq ls.

    Settings come from --set, from variables such as
    STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS, and from a TOML file (--config);
    config show prints what is in force.
    """


def run() -> None:
    """Run the command line and exit.

    The exit code is 0 on success, 2 for wrong usage, wrong configuration and
    any other `FatalError`, 130 after an interrupt, and 1 for every other
    failure. An error of this package, or of a path, is one red line on standard error;
    ``--debug`` (before the command) shows its traceback as well.
    """
    keep_private()
    try:
        app()
    except StreamAssocError as error:
        if "--debug" in sys.argv[1:]:
            raise
        report(error)
        sys.exit(FATAL_CODE if isinstance(error, FatalError) else FAILURE_CODE)
    except (OSError, RuntimeError) as error:
        if "--debug" in sys.argv[1:]:
            raise
        if told := of_kernel_cache(error):
            report(told)
            sys.exit(FATAL_CODE)
        # One that names a file is about a path somebody gave; any other is a defect, and shows where.
        if not isinstance(error, OSError) or error.filename is None:
            raise
        report(CommandError(f"{error.filename}: {error.strerror}; give a path that can be used"))
        sys.exit(FAILURE_CODE)


def report(error: StreamAssocError) -> None:
    """Write an error to standard error as one red line a cause."""
    typer.secho(str(error) or type(error).__name__, fg=typer.colors.RED, err=True)


_NOWHERE: Final = "no locator available"
"""What numba's error says when it may write neither beside the package nor in the user's cache."""

_FILES: Final = (".nbi", ".nbc")
"""Parts of the names of numba's files: the index of a function's kernels, and a kernel."""


class KernelCacheError(FatalError):
    """Compiled kernels can be kept nowhere, and compiling all of them takes a minute at every start."""


def of_kernel_cache(error: RuntimeError | OSError) -> KernelCacheError | None:
    """Return what to say of an error, if it comes from keeping compiled kernels."""
    if isinstance(error, OSError):
        name = str(error.filename or "")
        why = f"{name}: {error.strerror}" if any(part in name for part in _FILES) else ""
    else:
        why = "no folder for them can be written to" if _NOWHERE in str(error) else ""
    if not why:
        return None
    return KernelCacheError(
        f"compiled kernels cannot be kept ({why}); set the environment variable NUMBA_CACHE_DIR to a folder that "
        "this user can write to"
    )
