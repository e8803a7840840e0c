"""``stream-assoc config``, ``apdb``, ``topics`` and ``schemas``: what is needed before `serve`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_assoc.apps.cli.advise import ADVISE_HELP, LOSS_CODE, advise, as_json, harms_of, warn
from stream_assoc.apps.cli.app import (
    App,
    CommandError,
    ConfigOption,
    SetOption,
    closing,
    note,
    settings_of,
    without_client_logs,
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

config_app = App(help="See and check the settings.", no_args_is_help=True)


@config_app.command(
    "check", epilog=closing("stream-assoc config check --config stream-assoc.toml", codes="0 when valid, 2 when not")
)
def check_config(
    config: ConfigOption = None,
    set_: SetOption = None,
    topics: Annotated[
        bool,
        typer.Option("--topics", help="Also ask Kafka whether its topics would keep what they should, and warn."),
    ] = False,
) -> None:
    """Check every setting, by itself and against the others.

    No server is contacted, but Kafka with --topics.

    Topics and ports must differ, waits must fit into each other, and names
    must be those of plugins, columns and librdkafka options that there are.
    """
    settings = settings_of(config, set_)

    from stream_assoc.wiring.settings_check import check_settings

    check_settings(settings)
    typer.echo("The configuration is valid.")
    if topics:
        from stream_assoc.messaging.kafka.client import kafka_named
        from stream_assoc.messaging.kafka.topics import topic_losses

        with kafka_named(settings.kafka, note):
            lines = topic_losses(without_client_logs(settings.kafka))
        for line in lines:
            typer.secho(line, fg=typer.colors.YELLOW, err=True)
        typer.echo("The topics keep what they should." if not lines else "Some topics would lose messages.")


@config_app.command(
    "show",
    epilog=closing(
        "stream-assoc config show",
        "stream-assoc config show --json --set kafka.group_id=replay",
        codes="0, 2 when a setting is wrong",
    ),
)
def show_config(
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of TOML.")] = False,
) -> None:
    """Print the settings in force, secrets masked.

    The output is a valid file, but for its masked secrets: `config show >
    stream-assoc.toml` begins one. No server is contacted.
    """
    masked = settings_of(config, set_).masked()
    typer.echo(json.dumps(masked, indent=2) if json_ else as_toml(masked))


def as_toml(values: dict[str, Any]) -> str:
    """Return nested settings as TOML; what is unset is a comment, since TOML has no null."""
    lines = []
    for section, inner in values.items():
        tables = {name: value for name, value in inner.items() if isinstance(value, dict)}
        lines.append(f"[{section}]")
        lines += [_assignment(name, value) for name, value in inner.items() if name not in tables]
        for name, table in tables.items():
            if table:
                lines.append(f"[{section}.{name}]")
                lines += [_assignment(json.dumps(key), value) for key, value in table.items()]
        lines.append("")
    return "\n".join(lines).rstrip()


def _assignment(name: str, value: object) -> str:
    # JSON's strings, numbers, booleans and flat lists are TOML's too.
    return f"# {name} is unset" if value is None else f"{name} = {json.dumps(value, ensure_ascii=False)}"


apdb_app = App(help="Make and check the Alert Production Database.", no_args_is_help=True)


@apdb_app.command(
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


@apdb_app.command(
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


apdb_app.command("advise", epilog=ADVISE_HELP)(advise)


def describe(apdb: ApdbSettings, report: "ApdbReport") -> str:
    """Return what a usable database is, in one line without its password."""
    replication = "on" if report.replication else "off"
    return (
        f"{apdb.url} is ready: APDB schema {report.schema_version}, "
        f"tables of stream_assoc {report.stream_assoc_version}, partition {report.partition}, "
        f"replication {replication}."
    )


topics_app = App(help="Make the Kafka topics.", no_args_is_help=True)


@topics_app.callback()
def _topics_group() -> None:
    """Make the Kafka topics."""


@topics_app.command(
    "init",
    epilog=closing(
        "stream-assoc topics init",
        "stream-assoc topics init --set kafka.partitions=16 --set kafka.replication_factor=3",
    ),
)
def init_topics(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Create the topics that do not exist yet; those that do are left as they are.

    Needs Kafka at kafka.bootstrap_servers and a user that may create topics:
    the input, the objects (compacted), the forced sources, the metrics, the
    dead letters and the announced visits.
    """
    from stream_assoc.messaging.kafka.client import kafka_named
    from stream_assoc.messaging.kafka.topics import ensure_topics

    kafka = without_client_logs(settings_of(config, set_).kafka)
    with kafka_named(kafka, note):
        created = ensure_topics(kafka)
    typer.echo(f"created: {', '.join(created)}" if created else "All topics exist.")


schemas_app = App(help="The Avro schemas of all topics.", no_args_is_help=True)


@schemas_app.callback()
def _schemas_group() -> None:
    """Write the Avro schemas of all topics."""


@schemas_app.command(
    "generate",
    epilog=closing(
        "stream-assoc schemas generate schemas/",
        "stream-assoc schemas generate --check",
        codes="0 when written or unchanged, 1 when --check finds a difference",
    ),
)
def generate_schemas(
    folder: Annotated[Path, typer.Argument(help="Where to write the .avsc files.")] = Path("schemas"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file would change.")] = False,
) -> None:
    """Write the Avro schemas of all topics, as this version reads and writes them; needs no server.

    Columns, units and descriptions are those of the installed lsst-sdm-schemas.
    """
    from stream_assoc.messaging.avro.schema_generation import generate_schema, schema_text, write_schemas
    from stream_assoc.messaging.avro.schemas import NAMES

    if not check:
        for file in write_schemas(folder):
            typer.echo(file)
        return
    drifted = [
        str(file)
        for name in NAMES
        if not (file := folder / f"{name}.avsc").is_file()
        or file.read_text(encoding="utf-8") != schema_text(generate_schema(name))
    ]
    if drifted:
        raise CommandError(
            f"{', '.join(drifted)}: not as lsst-sdm-schemas has it; run `stream-assoc schemas generate`"
        )
    typer.echo(f"{len(NAMES)} schemas are as lsst-sdm-schemas has them.")
