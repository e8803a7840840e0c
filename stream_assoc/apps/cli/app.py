"""Commands, their options and plain help: no type beside a flag, no braces, words for types of values."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from stream_assoc.exceptions import StreamAssocError
from stream_assoc.settings import ConfigurationError, Settings, load_settings
from stream_assoc.settings.kafka import KafkaSettings

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])
Parameter = TypeVar("Parameter")

_WORDS: Final = {
    "int": "NUMBER",
    "float": "NUMBER",
    "str": "TEXT",
    "list[int]": "NUMBER",
    "list[str]": "TEXT",
    "Path": "PATH",
    "datetime": "TIME",
}
"""What a reader of the help calls a type; choices are listed as they are."""


class Command(TyperCommand):
    """A command with plain help."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - typer's own class, not public
        """Return the parameters, the help option among them."""
        return [plain(parameter) for parameter in super().get_params(ctx)]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - the same
        """Return the words of the usage line."""
        # Typer puts braces around what must be given.
        return [piece.translate({ord("{"): None, ord("}"): None}) for piece in super().collect_usage_pieces(ctx)]


class Group(TyperGroup):
    """A group of commands with plain help."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - the same
        """Return the parameters, the help option among them."""
        return [plain(parameter) for parameter in super().get_params(ctx)]


class App(typer.Typer):
    """A `typer.Typer` whose groups are `Group` and whose commands are `Command`."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of typer
        super().__init__(**{"cls": Group, **options})

    def command(
        self,
        name: str | None = None,
        **options: Any,  # noqa: ANN401 - those of typer
    ) -> Callable[[CommandFunction], CommandFunction]:
        """Make a command of a function."""
        return super().command(name, **{"cls": Command, **options})


def plain(parameter: Parameter) -> Parameter:
    """Give a flag no type, an option its type in words, and an argument its name in capitals, but for its metavar."""
    if isinstance(parameter, TyperOption) and parameter.is_flag and parameter.metavar is None:
        parameter.metavar = ""
    elif isinstance(parameter, TyperOption) and parameter.metavar is None:
        parameter.metavar = _WORDS.get(parameter.bare_type())
    elif isinstance(parameter, TyperArgument) and parameter.metavar is None:
        parameter.metavar = parameter.name.upper()
    return parameter


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


FAILURE_CODES = "0 when done, 1 on a temporary failure, 2 when a setting or the usage is wrong"


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


class CommandError(StreamAssocError):
    """A command could not do what it was asked to; the message names cause and remedy."""
