"""``stream-assoc config``, ``topics`` and ``schemas``: what is needed before `serve`, but for the APDB."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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

if TYPE_CHECKING:
    pass

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
