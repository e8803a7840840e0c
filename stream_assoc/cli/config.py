"""``stream-assoc config``: see and check the settings."""

import json
from typing import Annotated, Any

import typer

from stream_assoc.cli.options import ConfigOption, SetOption, settings_of
from stream_assoc.settings import ConfigurationError, Settings

app = typer.Typer(help="See and check the settings.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Check every setting, the librdkafka options included; no server is contacted."""
    from stream_assoc.daemon.assembly import photometer_of

    settings = settings_of(config, set_)
    photometer_of(settings.images, settings.forced_photometry)
    check_librdkafka(settings)
    typer.echo("The configuration is valid.")


@app.command()
def show(
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of TOML.")] = False,
) -> None:
    """Print the settings in force, secrets masked."""
    masked = settings_of(config, set_).masked()
    typer.echo(json.dumps(masked, indent=2) if json_ else as_toml(masked))


def check_librdkafka(settings: Settings) -> None:
    """Let librdkafka judge the options that are passed through to it.

    Raises
    ------
    ConfigurationError
        If librdkafka knows no option of a name or refuses its value.
    """
    from confluent_kafka import Consumer, KafkaException, Producer

    from stream_assoc.stream.kafka_errors import describe, error_of

    kafka = settings.kafka
    # A client connects when it is first used; one that is only made judges its options and is dropped.
    trials: dict[str, tuple[Any, dict[str, Any]]] = {
        "kafka.librdkafka or kafka.librdkafka_consumer": (
            Consumer,
            {**kafka.consumer_options(), "group.id": kafka.group_id},
        ),
        "kafka.librdkafka or kafka.librdkafka_producer": (Producer, kafka.producer_options()),
    }
    for names, (client, options) in trials.items():
        try:
            made = client({**options, "log_level": 0})
        except KafkaException as error:
            raise ConfigurationError(f"{names}: librdkafka says: {describe(error_of(error))}") from None
        if client is Consumer:
            made.close()


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
