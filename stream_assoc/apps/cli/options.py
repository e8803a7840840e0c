"""Options that several commands share, and how they become settings."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from stream_assoc.settings import ConfigurationError, Settings, load_settings
from stream_assoc.settings.kafka import KafkaSettings

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="TOML file of settings. Default: $STREAM_ASSOC_CONFIG, else ./stream-assoc.toml where there is one.",
        show_default=False,
    ),
]
SetOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="SECTION.NAME=VALUE",
        help="Set one setting, over file and environment; may be repeated.",
        show_default=False,
    ),
]


FAILURE_CODES = "0 when done, 1 on a failure that may pass, 2 when a setting or the usage is wrong"


def closing(*examples: str, codes: str = FAILURE_CODES) -> str:
    """Return the end of a command's help: examples, a line each, and its exit codes."""
    # The help joins lines and keeps paragraphs.
    return "\n\n".join(["Examples:", *examples, f"Exit code: {codes}."])


def settings_of(config: Path | None, assignments: Sequence[str] | None) -> Settings:
    """Return the settings of a command from its ``--config`` and ``--set`` options.

    Raises
    ------
    ConfigurationError
        If an assignment lacks its ``=``, or a setting is not valid.
    """
    overrides = {}
    for assignment in assignments or ():
        name, equals, value = assignment.partition("=")
        if not equals:
            # Whatever follows the name may be a password.
            setting = re.match(r"[\w.]*", name.strip())
            shown = "" if setting is None else setting[0]
            raise ConfigurationError(f"--set {shown}: there is no value; write --set SECTION.NAME=VALUE")
        overrides[name.strip()] = _words(value) if value.startswith("[") else value
    return load_settings(config, overrides)


def without_client_logs(kafka: KafkaSettings) -> KafkaSettings:
    """Return settings whose clients write no log lines of their own, unless the user asked for them.

    What is wrong reaches a command as an error; librdkafka would also write
    every failed attempt to connect.
    """
    return kafka.model_copy(update={"librdkafka": {"log_level": 0, **kafka.librdkafka}})


def note(text: str) -> None:
    """Write a line about what happens to standard error, where it is in no output's way."""
    typer.secho(text, dim=True, err=True)


def _words(value: str) -> list[str]:
    return [word.strip(" \"'") for word in value.strip("[] ").split(",") if word.strip(" \"'")]
