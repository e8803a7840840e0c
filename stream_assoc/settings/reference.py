"""The configuration reference and the example file, generated from the settings themselves.

``python -m stream_assoc.settings.reference`` writes them anew (`make docs`),
with ``--check`` it only tells whether they have drifted (`make check`).
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from stream_assoc.settings.fields import environment_name, fields, form_of
from stream_assoc.settings.secrets import SecretUrl
from stream_assoc.settings.settings import Settings

REFERENCE_FILE: Final = Path("docs/configuration.md")
EXAMPLE_FILE: Final = Path("stream-assoc.example.toml")

INTRODUCTION: Final = """\
# Configuration

<!-- Generated from stream_assoc/settings by `make docs`; a test fails when it drifts. -->

Every setting has a default; a file needs only what differs. Where a setting is given more than once, the first of
these wins:

1. `--set SECTION.NAME=VALUE` on the command line;
2. an environment variable, `STREAM_ASSOC_SECTION__NAME`. A list is comma-separated or JSON; an empty variable
   counts as none. A secret, or a URL that may hold one, can be in a file instead, which
   `STREAM_ASSOC_SECTION__NAME_FILE` names: `STREAM_ASSOC_KAFKA__SASL_PASSWORD_FILE=/run/secrets/kafka`;
3. the TOML file: `--config FILE`, else the one that `STREAM_ASSOC_CONFIG` names, else `./stream-assoc.toml`;
   [`stream-assoc.example.toml`](../stream-assoc.example.toml) lists every setting with its default;
4. the default below.

An unknown name is rejected, in the file and among the `STREAM_ASSOC_` variables, and the nearest valid name is
suggested. `stream-assoc config check` checks everything, librdkafka's options included, without contacting a server;
`stream-assoc config show` prints the settings in force. Passwords, also those in URLs and in librdkafka options, are
never shown or logged. [security.md](security.md) says what to set for TLS and users, and which permissions they need.
"""


def reference() -> str:
    """Return the configuration reference in Markdown."""
    parts = [INTRODUCTION]
    for section, inner in _sections().items():
        parts.append(f"\n## `[{section}]`\n\n{_section_summary(section)}\n")
        parts.append("| setting | form | default | meaning |\n|---|---|---|---|")
        parts += [
            f"| `{name}` | {form_of(field)} | {_default_cell(field)} | {field.description} |"
            for name, field in inner.items()
        ]
    first = next(iter(fields()))
    parts.append(
        f"\nThe environment variable of `{first}` is `{environment_name(first)}`, and so on for every setting.\n"
    )
    return "\n".join(parts)


def example() -> str:
    """Return a TOML file that names every setting, each commented out at its default."""
    lines = ["# Settings of stream_assoc; every line that is commented out shows the default.", ""]
    for section, inner in _sections().items():
        lines += [f"# {_section_summary(section)}", f"[{section}]"]
        for name, field in inner.items():
            lines += textwrap.wrap(str(field.description), 110, initial_indent="## ", subsequent_indent="## ")
            default = _plain_default(field)
            lines.append(f"# {name} =" if default is None else f"# {name} = {json.dumps(default)}")
        lines.append("")
    return "\n".join(lines)


def _sections() -> dict[str, dict[str, FieldInfo]]:
    sections: dict[str, dict[str, FieldInfo]] = {}
    for dotted, field in fields().items():
        section, _, name = dotted.partition(".")
        sections.setdefault(section, {})[name] = field
    return sections


def _section_summary(section: str) -> str:
    return str(getattr(Settings.model_fields[section].annotation, "__doc__", "")).split("\n\n")[0]


def _plain_default(field: FieldInfo) -> object:
    default = field.get_default(call_default_factory=True)
    return str(default) if isinstance(default, SecretUrl) else default


def _default_cell(field: FieldInfo) -> str:
    default = _plain_default(field)
    if default is None:
        return "unset"
    if isinstance(default, tuple):
        return ", ".join(f"`{value}`" for value in default) or "none"
    return f"`{default}`" if default != {} else "empty"


def drifted(folder: Path) -> list[Path]:
    """Return those generated files under the repository ``folder`` that are not as they would be written now."""
    wanted = {REFERENCE_FILE: reference(), EXAMPLE_FILE: example()}
    return [
        name
        for name, text in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def write(folder: Path) -> None:
    """Write the generated files under the repository ``folder``."""
    (folder / REFERENCE_FILE).write_text(reference(), encoding="utf-8")
    (folder / EXAMPLE_FILE).write_text(example(), encoding="utf-8")


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        write(Path())
    elif stale := drifted(Path()):
        sys.exit(f"{', '.join(map(str, stale))}: not as the settings have it; run `make docs`")
