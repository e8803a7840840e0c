"""Commands and groups whose help is plain: no type beside a flag, no braces, words for types of values."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

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
