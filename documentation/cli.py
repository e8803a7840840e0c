"""The reference of the commands, from their help texts and parameters."""

import inspect
from collections.abc import Iterator
from typing import Any

import typer.main
from typer.core import TyperCommand, TyperGroup

from documentation.markdown import head, table
from stream_assoc.apps.cli.main import app

NAME = "stream-assoc"

INTRODUCTION = """\
`stream-assoc COMMAND --help` prints the same. Options go after the command; only `--debug` and `--version` go before
it. An error is one red line on standard error that says what to change.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it failed, or a check found a fault; trying again may help |
| 2 | wrong usage, a wrong setting, or a server that refuses this client: change something before you try again |
| 130 | interrupted |
"""


def page() -> str:
    """Return the page."""
    lines = [*head("Commands", "the commands themselves"), INTRODUCTION]
    for names, command in commands():
        lines += _section(names, command)
    return "\n".join(lines).rstrip() + "\n"


def commands() -> Iterator[tuple[tuple[str, ...], TyperCommand | TyperGroup]]:
    """Yield every command and group, each with the words that call it; hidden ones are old names and left out."""
    yield from _beneath(typer.main.get_command(app), ())


def _beneath(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    yield names, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _beneath(inner, (*names, name))


def _section(names: tuple[str, ...], command: TyperCommand | TyperGroup) -> Iterator[str]:
    title = " ".join([NAME, *names])
    yield f"{'#' * (1 + max(1, len(names)))} `{title}`"
    yield ""
    yield from inspect.cleandoc(command.help or "").split("\n")
    yield ""
    context = command.context_class(command, info_name=title)
    parameters: list[Any] = list(command.params)
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    options = [one for one in parameters if one.param_type_name == "option"]
    if arguments or (options and names):
        yield from ("```text", f"{title} {' '.join(command.collect_usage_pieces(context))}", "```", "")
    if arguments:
        yield from table(["argument", "meaning"], [(f"`{_value(one, context)}`", one.help) for one in arguments])
    if options:
        yield from table(["option", "value", "default", "meaning"], [_option(one, context) for one in options])
    yield from _end(command.epilog)


def _option(option: Any, context: Any) -> tuple[str, str, str, str]:  # noqa: ANN401 - classes private to typer
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return flags, "", "", option.help
    default = option.get_default(context)
    return flags, f"`{_value(option, context)}`", "" if default in (None, (), []) else f"`{default}`", option.help


def _value(parameter: Any, context: Any) -> str:  # noqa: ANN401 - classes private to typer
    return str(parameter.metavar or parameter.display_type(ctx=context) or parameter.name)


def _end(epilog: str | None) -> Iterator[str]:
    if epilog is None:
        return
    _, *examples, codes = epilog.split("\n\n")
    yield from ("```console", *(f"$ {example}" for example in examples), "```", "", codes, "")
