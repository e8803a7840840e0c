"""``stream-assoc config``: see and check the settings."""

import json
from typing import Annotated, Any

import typer

from stream_assoc.apps.cli.app import App
from stream_assoc.apps.cli.options import ConfigOption, SetOption, closing, note, settings_of, without_client_logs

app = App(help="See and check the settings.", no_args_is_help=True)


@app.command(epilog=closing("stream-assoc config check --config stream-assoc.toml", codes="0 when valid, 2 when not"))
def check(
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


@app.command(
    epilog=closing(
        "stream-assoc config show",
        "stream-assoc config show --json --set kafka.group_id=replay",
        codes="0, 2 when a setting is wrong",
    )
)
def show(
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
