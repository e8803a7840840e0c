"""``stream-assoc apdb``: make and check the Alert Production Database."""

from typing import TYPE_CHECKING, Annotated

import typer

from stream_assoc.apps.cli.app import App
from stream_assoc.apps.cli.options import ConfigOption, SetOption, closing, settings_of
from stream_assoc.settings import ConfigurationError
from stream_assoc.settings.stores import ApdbSettings

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.backend import ApdbReport

app = App(help="Make and check the Alert Production Database.", no_args_is_help=True)


@app.command(
    epilog=closing(
        "stream-assoc apdb init --set apdb.url=sqlite:///apdb.sqlite3",
        "STREAM_ASSOC_APDB__URL=postgresql://user@db/apdb stream-assoc apdb init --no-replication",
        "stream-assoc apdb init --dry-run",
        "stream-assoc apdb init --repartition --set sky.tile_level=11",
    )
)
def init(
    config: ConfigOption = None,
    set_: SetOption = None,
    drop: Annotated[bool, typer.Option("--drop", help="Drop what is there, with all its rows.")] = False,
    replication: Annotated[
        bool, typer.Option(help="Also note every row for replication to the PPDB; fixed when an APDB is created.")
    ] = True,
    repartition: Annotated[
        bool,
        typer.Option("--repartition", help="Divide the sky anew at sky.tile_level and cell_level. Stop all daemons."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, a line for each step; change nothing.")
    ] = False,
) -> None:
    """Create the tables in the schema of lsst-dax-apdb and ours beside them; what exists is completed.

    Needs a database at apdb.url whose user may create tables (an SQLite file
    is made). Running it again is harmless; without --drop nothing is lost.
    Tables of an older version are migrated, one version after the other, each
    in a transaction: stop all daemons first. Statistics plugins of other
    packages (statistics.plugins) get their columns, and must be installed here
    too. With --dry-run it tells what it would do.
    """
    from stream_assoc.stores.apdb import create
    from stream_assoc.wiring.pipeline import calculator_of

    settings = settings_of(config, set_)
    statistics = calculator_of(settings).plugin_columns
    url, namespace = settings.apdb.connection_url(), settings.apdb.namespace
    levels = {"tile_level": settings.sky.tile_level, "cell_level": settings.sky.cell_level}
    if dry_run:
        if repartition:
            raise ConfigurationError("--dry-run tells what a migration would do; it does not go with --repartition")
        steps = create.plan(url, namespace, drop=drop, statistics=statistics)
        typer.echo("\n".join(f"would {step}" for step in steps) or f"{settings.apdb.url} is up to date.")
        return
    if repartition:
        report = create.repartition(url, namespace, **levels)
    else:
        report = create.init(url, namespace, drop=drop, replication=replication, **levels)
        create.add_columns(url, namespace, statistics)
    typer.echo(describe(settings.apdb, report))


@app.command(
    epilog=closing(
        "stream-assoc apdb check",
        codes="0 when it can be used, 1 when the server is away, 2 when it is no APDB of this version",
    )
)
def check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Tell whether the database is there and in the schema that this version writes; nothing is changed."""
    from stream_assoc.stores.apdb.create import check as check_apdb
    from stream_assoc.wiring.pipeline import calculator_of

    settings = settings_of(config, set_)
    report = check_apdb(
        settings.apdb.connection_url(),
        settings.apdb.namespace,
        tile_level=settings.sky.tile_level,
        cell_level=settings.sky.cell_level,
        statistics=calculator_of(settings).plugin_columns,
    )
    typer.echo(describe(settings.apdb, report))


def describe(apdb: ApdbSettings, report: "ApdbReport") -> str:
    """Return what a usable database is, in one line without its password."""
    replication = "on" if report.replication else "off"
    return (
        f"{apdb.url} is ready: APDB schema {report.schema_version}, "
        f"tables of stream_assoc {report.stream_assoc_version}, partition {report.partition}, "
        f"replication {replication}."
    )
