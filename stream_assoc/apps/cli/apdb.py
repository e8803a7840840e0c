"""``stream-assoc apdb init`` and ``check``: make the APDB, and see that it is sound."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_assoc.apps.cli.advise import ADVISE_HELP, LOSS_CODE, advise, as_json, harms_of, warn
from stream_assoc.apps.cli.app import (
    App,
    ConfigOption,
    SetOption,
    closing,
    note,
    settings_of,
)
from stream_assoc.apps.cli.cluster import (
    ReplicationFactorOption,
    TimePartitionEndOption,
    TimePartitionStartOption,
    TimePartitionTablesOption,
    choices_of,
)
from stream_assoc.apps.cli.inspection import (
    AllOption,
    DeepOption,
    JsonOption,
    SampleOption,
    SeedOption,
    inspect,
    sampling_of,
)
from stream_assoc.settings import ConfigurationError
from stream_assoc.settings.stores import ApdbSettings

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.backend import ApdbReport

app = App(help="Make and check the Alert Production Database.", no_args_is_help=True)


@app.command(
    "init",
    epilog=closing(
        "stream-assoc apdb init --set apdb.url=sqlite:///apdb.sqlite3",
        "STREAM_ASSOC_APDB__URL=postgresql://user@db/apdb stream-assoc apdb init --no-replication",
        "stream-assoc apdb init --config-out apdb.yaml",
        "stream-assoc apdb init --dry-run",
        "stream-assoc apdb init --repartition --set sky.tile_level=11",
        "stream-assoc apdb init --replication-factor 3 --set apdb.url=cassandra://node1,node2/apdb",
    ),
)
def init_apdb(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the steps, a line each; change nothing.")] = False,
    config_out: Annotated[
        Path | None,
        typer.Option(
            "--config-out",
            metavar="FILE",
            help="Also write the file that apdb-cli and ppdb-replication ask for. It may hold a password.",
        ),
    ] = None,
    replication_factor: ReplicationFactorOption = None,
    time_partition_tables: TimePartitionTablesOption = False,
    time_partition_start: TimePartitionStartOption = None,
    time_partition_end: TimePartitionEndOption = None,
) -> None:
    """Create the tables of lsst-dax-apdb and those of stream_assoc; in an existing APDB, add what is missing.

    Needs a database at apdb.url whose user may create tables; an SQLite file
    is created. Running it again is harmless; without --drop nothing is lost.
    Tables of an older version are migrated, one version after the other, each
    in a transaction: stop all daemons first. Statistics plugins of other
    packages (statistics.plugins) get their columns, and must be installed here
    too.

    On Cassandra the keyspace is made too. There nothing is a transaction:
    what was interrupted is gone on with by running it again.

    --config-out writes how lsst-dax-apdb opens this APDB, the password of
    apdb.url or apdb.password in plain text; only its owner can read a new file.
    Of Cassandra it holds none: lsst-dax-apdb looks for that in db-auth.yaml.
    """
    from stream_assoc.stores.apdb import create
    from stream_assoc.wiring.pipeline import calculator_of

    cluster = choices_of(
        replication_factor, time_partition_start, time_partition_end, time_partition_tables=time_partition_tables
    )
    settings = settings_of(config, set_)
    statistics = calculator_of(settings).plugin_columns
    url, namespace = settings.apdb.connection_url(), settings.apdb.namespace
    levels = {"tile_level": settings.sky.tile_level, "cell_level": settings.sky.cell_level}
    if dry_run:
        if repartition:
            raise ConfigurationError("--dry-run tells what a migration would do; it does not go with --repartition")
        steps = create.plan(url, namespace, drop=drop, statistics=statistics)
        steps += [] if config_out is None else [f"write {config_out}"]
        typer.echo("\n".join(f"would {step}" for step in steps) or f"{settings.apdb.url} is up to date.")
        return
    if repartition:
        report = create.repartition(url, namespace, **levels)
    else:
        report = create.init(url, namespace, drop=drop, replication=replication, cluster=cluster, **levels)
        create.add_columns(url, namespace, statistics)
    typer.echo(describe(settings.apdb, report))
    if config_out is not None:
        create.save_dax_config(
            url,
            namespace,
            config_out,
            replication=report.replication,
            replica_chunk_seconds=settings.apdb.replica_chunk_seconds,
        )
        note(f"{config_out} opens it for lsst-dax-apdb and lsst-dax-ppdb. Keep it private: it may hold a password.")


@app.command(
    "check",
    epilog=closing(
        "stream-assoc apdb check",
        "stream-assoc apdb check --deep",
        "stream-assoc apdb check --deep --all --json",
        codes="0 when it can be used, or nothing is wrong in it, 1 when the server is away, 2 when it is no APDB of "
        "this version, 3 when --deep finds faults, or a crash of the server may lose what was committed",
    ),
)
def check_apdb(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    config: ConfigOption = None,
    set_: SetOption = None,
    deep: DeepOption = False,
    sample: SampleOption = None,
    seed: SeedOption = 0,
    all_: AllOption = False,
    json_: JsonOption = False,
) -> None:
    """Tell whether the database is there and in the schema that this version writes; nothing is changed.

    Warns, on standard error, of settings of a PostgreSQL server that would
    hurt; `apdb advise` prints better ones. The check fails for those with
    which a crash may lose what was committed (fsync, full_page_writes). Of a
    ring of Cassandra each node is asked, and the keyspace.

    With --deep, inspect what is in it instead: versions, DiaObjectLast,
    sources and their objects, statistics, tiles, ledger and outbox. The APDB
    may be one that another program wrote, or a standby, and daemons may run:
    all is read as it was at one moment. Use the settings of the daemon.
    """
    settings = settings_of(config, set_)
    if deep:
        inspect(settings, sampling_of(sample, seed, everything=all_), as_json=json_)
        return
    if sample is not None or seed or all_:
        raise typer.BadParameter("--sample, --seed and --all go with --deep")

    from stream_assoc.stores.apdb.create import check as check_apdb
    from stream_assoc.wiring.pipeline import calculator_of

    report = check_apdb(
        settings.apdb.connection_url(),
        settings.apdb.namespace,
        tile_level=settings.sky.tile_level,
        cell_level=settings.sky.cell_level,
        statistics=calculator_of(settings).plugin_columns,
    )
    described, found = describe(settings.apdb, report), harms_of(settings)
    if json_:
        typer.echo(as_json(described, found))
    else:
        typer.echo(described)
        warn(found)
    if any(one.loses_data for one in found):
        raise typer.Exit(LOSS_CODE)


app.command("advise", epilog=ADVISE_HELP)(advise)


def describe(apdb: ApdbSettings, report: "ApdbReport") -> str:
    """Return what a usable database is, in one line without its password."""
    replication = "on" if report.replication else "off"
    return (
        f"{apdb.url} is ready: APDB schema {report.schema_version}, "
        f"tables of stream_assoc {report.stream_assoc_version}, partition {report.partition}, "
        f"replication {replication}."
    )
