"""``stream-assoc schemas``: the Avro schemas of all topics."""

from pathlib import Path
from typing import Annotated

import typer

from stream_assoc.apps.cli.app import App
from stream_assoc.apps.cli.exceptions import CommandError
from stream_assoc.apps.cli.options import closing

app = App(help="The Avro schemas of all topics.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Write the Avro schemas of all topics."""


@app.command(
    epilog=closing(
        "stream-assoc schemas generate schemas/",
        "stream-assoc schemas generate --check",
        codes="0 when written or unchanged, 1 when --check finds a difference",
    )
)
def generate(
    folder: Annotated[Path, typer.Argument(help="Where to write the .avsc files.")] = Path("schemas"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file would change.")] = False,
) -> None:
    """Write the Avro schemas of all topics, as this version reads and writes them; needs no server.

    Columns, units and descriptions are those of the installed lsst-sdm-schemas.
    """
    from stream_assoc.messaging.avro.schemas import NAMES, generate_schema, schema_text, write_schemas

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
