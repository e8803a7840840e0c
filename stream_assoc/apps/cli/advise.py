"""``stream-assoc apdb advise``, and what ``apdb check`` says of the server's settings."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from stream_assoc.apps.cli.app import ConfigOption, SetOption, closing, note, settings_of
from stream_assoc.settings import Settings
from stream_assoc.tools.tuning.machine import (
    LEAST_MEMORY,
    Build,
    Disk,
    Load,
    Machine,
    bytes_of,
    cpus_here,
    memory_here,
)
from stream_assoc.tools.tuning.rendering import Form, heading, render

if TYPE_CHECKING:
    from stream_assoc.tools.tuning.harm import Harm

Made = TypeVar("Made")

LOSS_CODE: Final = 3

ADVISE_HELP: Final = closing(
    "stream-assoc apdb advise --memory 64GiB --cpus 16",
    "stream-assoc apdb advise --memory 16GiB --cpus 4 --disk hdd --postgresql 17 --lz4",
    "stream-assoc apdb advise --memory 64GiB --cpus 16 --form sql",
    codes="0, 2 when the usage or a setting is wrong, or the server refuses this user",
)


def advise(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    config: ConfigOption = None,
    set_: SetOption = None,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="Memory that PostgreSQL may use, such as 64GiB. Default: all of this machine or container.",
            show_default=False,
        ),
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option(
            "--cpus", min=1, help="Its processors. Default: those of this machine or container.", show_default=False
        ),
    ] = None,
    disk: Annotated[Disk, typer.Option("--disk", help="What it stores the database on.")] = Disk.SSD,
    daemons: Annotated[int, typer.Option("--daemons", min=1, help="How many daemons are to use the server.")] = 2,
    postgresql: Annotated[
        int | None,
        typer.Option(
            "--postgresql",
            metavar="VERSION",
            help="Its major version, such as 17; no server is asked then. Default: that of apdb.url where it "
            "answers, else what suits 14 and later.",
            show_default=False,
        ),
    ] = None,
    lz4: Annotated[
        bool, typer.Option("--lz4", help="With --postgresql: it was built with LZ4, as Debian's and Docker's are.")
    ] = False,
    form: Annotated[
        Form,
        typer.Option(
            "--form",
            help="A file to include, statements, arguments of the server, or YAML for an operator's `parameters`.",
        ),
    ] = Form.CONF,
) -> None:
    """Print settings of PostgreSQL that suit a machine, with the reason of each.

    Needs no database. If apdb.url names a PostgreSQL server that answers, its
    version and what it was built with count. Nothing is changed anywhere.

    Put the output into a file that postgresql.conf includes and restart the
    server; `apdb check` then warns of what still hurts. If other programs run
    on the machine, give --memory what is left for PostgreSQL.
    """
    from stream_assoc.tools.tuning.advice import advise as advice_for

    settings = settings_of(config, set_)
    if lz4 and postgresql is None:
        raise typer.BadParameter("--lz4 goes with --postgresql")
    machine = _machine(memory, cpus, disk)
    build = _build(settings) if postgresql is None else _given(lambda: Build(postgresql, lz4))
    load = Load(daemons, settings.daemon.micro_batch_cells)
    advised = _given(lambda: advice_for(machine, load, build))
    typer.echo(render(advised, form, heading(machine, load, build)), nl=False)


def _machine(memory: str | None, cpus: int | None, disk: Disk) -> Machine:
    if memory is None or cpus is None:
        note(
            "what is not given is that of this machine; if the server runs elsewhere, or beside other programs, give "
            "--memory and --cpus"
        )
    n_bytes = memory_here() if memory is None else _given(lambda: bytes_of(memory))
    return _given(lambda: Machine(n_bytes, cpus_here() if cpus is None else cpus, disk))


def _build(settings: Settings) -> Build:
    from stream_assoc.pipeline.exceptions import ApdbUnavailableError
    from stream_assoc.stores.apdb.backends import parse_url
    from stream_assoc.wiring.stores import patience_of

    apdb = settings.apdb
    try:
        server = parse_url(apdb.connection_url(), apdb.namespace).server(patience_of(settings))
    except ApdbUnavailableError as error:
        note(f"{error}; what follows suits every version")
        return Build()
    if server is None:
        return Build()
    return _given(lambda: Build(server.version, "lz4" in server.settings["wal_compression"].choices))


def _given(make: Callable[[], Made]) -> Made:
    """Return what options describe; what cannot be is a wrong option."""
    try:
        return make()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def harms_of(settings: Settings) -> "Sequence[Harm]":
    """Return what of the server's or the ring's settings would hurt; a machine is known if the server is on this one.

    Raises
    ------
    ApdbError
        If the server cannot be reached.
    """
    from stream_assoc.core.model.times import mjd_tai_of_unix
    from stream_assoc.stores.apdb.backends import parse_url
    from stream_assoc.tools.tuning.harm import harms
    from stream_assoc.tools.tuning.ring_harm import ring_harms
    from stream_assoc.wiring.stores import patience_of

    apdb = settings.apdb
    place, patience = parse_url(apdb.connection_url(), apdb.namespace), patience_of(settings)
    if (ring := place.ring(patience)) is not None:
        return ring_harms(ring, mjd_tai_of_unix(time.time()))
    if (server := place.server(patience)) is None:
        return ()
    is_known = server.is_local and memory_here() >= LEAST_MEMORY
    machine = Machine(memory_here(), cpus_here()) if is_known else None
    return harms(server, Load(cells_each=settings.daemon.micro_batch_cells), machine)


def warn(found: "Sequence[Harm]") -> None:
    """Print a line about each setting that hurts on standard error."""
    for one in found:
        colour = typer.colors.RED if one.loses_data else typer.colors.YELLOW
        kind = "may lose data" if one.loses_data else "warning"
        typer.secho(
            f"{kind}: {one.setting} is {one.found}, advised: {one.advised}; {one.reason}", fg=colour, err=True
        )


def as_json(described: str, found: "Sequence[Harm]") -> str:
    """Return the outcome of a check as a line of JSON."""
    return json.dumps({"apdb": described, "settings": [asdict(one) for one in found]})
