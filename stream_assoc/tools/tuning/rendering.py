"""Settings as a file that PostgreSQL includes, as SQL, as arguments of the server, and as YAML for operators."""

import textwrap
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import groupby
from typing import Final

from stream_assoc.tools.tuning.advice import SAFETY, Advised
from stream_assoc.tools.tuning.machine import MIB, Build, Load, Machine

_WIDTH: Final = 110


class Form(Enum):
    """How settings are written."""

    CONF = "conf"
    SQL = "sql"
    ARGUMENTS = "arguments"
    YAML = "yaml"


def render(settings: Sequence[Advised], form: Form, heading: Sequence[str]) -> str:
    """Return settings as text that ends with a line.

    Parameters
    ----------
    settings : sequence of `Advised`
    form : `Form`
    heading : sequence of `str`
        Lines about what they are for; not written where a form has no comments.
    """
    return _FORMS[form](settings, heading)


def heading(machine: Machine, load: Load, build: Build) -> list[str]:
    """Return what settings are for, and the command that prints them on any machine."""
    words = ["stream-assoc", "apdb", "advise"]
    words += ["--memory", f"{machine.memory // MIB}MiB", "--cpus", str(machine.cpus), "--disk", machine.disk.value]
    words += ["--daemons", str(load.n_daemons), "--postgresql", str(build.version)]
    words += ["--lz4"] if build.has_lz4 else []
    return [f"PostgreSQL {build.version} or later, for an APDB of stream_assoc. Made by:", f"  {' '.join(words)}"]


def _as_conf(settings: Sequence[Advised], heading: Sequence[str]) -> str:
    return _commented(settings, heading, "#", lambda one: f"{one.name} = '{one.value}'")


def _as_sql(settings: Sequence[Advised], heading: Sequence[str]) -> str:
    return _commented(settings, heading, "--", lambda one: f"ALTER SYSTEM SET {one.name} = '{one.value}';")


def _as_yaml(settings: Sequence[Advised], heading: Sequence[str]) -> str:
    # Operators keep what a commit promises to themselves, and refuse to be told.
    told = [one for one in settings if one.group != SAFETY]
    return _commented(told, heading, "#", lambda one: f'{one.name}: "{one.value}"')


def _as_arguments(settings: Sequence[Advised], _: Sequence[str]) -> str:
    return " ".join(f"-c {one.name}={one.value}" for one in settings) + "\n"


def _commented(
    settings: Sequence[Advised], heading: Sequence[str], mark: str, line_of: Callable[[Advised], str]
) -> str:
    lines = [f"{mark} {line}" for line in heading]
    for group, members in groupby(settings, lambda one: one.group):
        lines += ["", f"{mark} {group}"]
        for one in members:
            lines += ["", *_comment(one.why, mark), line_of(one)]
    return "\n".join(lines) + "\n"


def _comment(text: str, mark: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{mark} ", subsequent_indent=f"{mark} ")


_FORMS: Final = {
    Form.CONF: _as_conf,
    Form.SQL: _as_sql,
    Form.ARGUMENTS: _as_arguments,
    Form.YAML: _as_yaml,
}
