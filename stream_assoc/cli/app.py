"""Commands and groups whose help is plain: no type beside a flag, arguments in capitals and without braces."""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])
Parameter = TypeVar("Parameter")


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
    """Give a flag no type, and an argument its name in capitals, where they have no metavar."""
    if isinstance(parameter, TyperOption) and parameter.is_flag and parameter.metavar is None:
        parameter.metavar = ""
    elif isinstance(parameter, TyperArgument) and parameter.metavar is None:
        parameter.metavar = parameter.name.upper()
    return parameter
