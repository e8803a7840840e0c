"""``stream-assoc replica``: compare the PPDB with the APDB, repair it, and let its replicator go on."""

import contextlib
import json
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from stream_assoc.apps.cli.app import App, ConfigOption, SetOption, closing, settings_of
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.settings import Settings

if TYPE_CHECKING:
    from stream_assoc.tools.replica.findings import Findings

app = App(help="Compare the PPDB that lsst-dax-ppdb fills with the APDB, and repair it.", no_args_is_help=True)

PpdbArgument: TypeAlias = Annotated[
    str, typer.Argument(help="The file that `ppdb-cli create-sql` wrote, or a URL of SQLAlchemy.")
]
SchemaOption: TypeAlias = Annotated[
    str | None, typer.Option("--schema", help="Schema of the PPDB's tables. Default: the file's.", show_default=False)
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(
    epilog=closing(
        "stream-assoc replica check ppdb.yaml",
        "stream-assoc replica check ppdb.yaml --json",
        codes="0 when all agree or wait for replication, 1 when something is different, 2 when a setting is wrong",
    )
)
def check(
    ppdb: PpdbArgument,
    schema: SchemaOption = None,
    json_: JsonOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Compare the PPDB with the APDB, row for row; daemons may run, and the replicator of a PPDB in PostgreSQL.

    Every row whose chunk has been replicated, or is no longer known, must be in
    the PPDB with equal values (NaN equals NaN), and no other row may be. Rows
    that a chunk not replicated yet brings or changes are awaiting replication.
    What would stop the replicator is counted too. Nothing is changed.
    """
    found = _compare(settings_of(config, set_), ppdb, schema, repair=False)
    _tell(found, json_=json_)
    if found.n_faults:
        raise typer.Exit(1)


@app.command(
    epilog=closing(
        "stream-assoc replica repair ppdb.yaml",
        codes="0 when all agree now or wait for replication, 1 when rows are left that only the PPDB has, or on a "
        "temporary failure, 2 when a setting is wrong",
    )
)
def repair(
    ppdb: PpdbArgument,
    schema: SchemaOption = None,
    json_: JsonOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Give different rows of the PPDB the APDB's values, store missing ones, and withdraw what stops the replicator.

    Stop the replicator meanwhile: the repair ends if it finds that it has gone
    on. Daemons may run. Rows that a chunk not replicated yet brings or changes
    are left to it. Rows that only the PPDB has are told and left: no program
    deletes rows of an APDB, so somebody else knows why they are there.

    Needs a user who may write to the PPDB, and one of apdb.url who may delete
    from the APDB's chunk tables. Prints what was found before.
    """
    found = _compare(settings_of(config, set_), ppdb, schema, repair=True)
    _tell(found, json_=json_)
    if found.n_extra:
        raise typer.Exit(1)


@app.command(
    epilog=closing(
        "stream-assoc replica release",
        codes="0 when no chunk is held, 1 when one is that is not over yet, or on a temporary failure, 2 when a "
        "setting is wrong",
    )
)
def release(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Let the replicator come to what daemons have stored on Cassandra, where none of them runs any more.

    There a chunk is held from its first batch until twelve minutes after its
    beginning, and for as long as a batch is committed and not applied. Daemons
    release it; where none runs, this does: what a dead daemon has committed is
    applied, and what it was about to commit never will be. Daemons may run. In
    an SQL database nothing is held.
    """
    from stream_assoc.stores.apdb.backends import parse_url

    apdb = settings_of(config, set_).apdb
    held = parse_url(apdb.connection_url(), apdb.namespace).administration().release_chunks()
    if held:
        typer.echo(f"held, because they are not over: {', '.join(map(str, held))}; try again in some minutes")
        raise typer.Exit(1)
    typer.echo("no chunk is held")


def _compare(settings: Settings, ppdb: str, schema: str | None, *, repair: bool) -> "Findings":
    from stream_assoc.stores.apdb.backends import parse_url
    from stream_assoc.stores.apdb.rows.tables import KEYS
    from stream_assoc.tools.replica.check import comparing
    from stream_assoc.tools.replica.databases import apdb_side, ppdb_side
    from stream_assoc.tools.replica.findings import Findings, TableTally
    from stream_assoc.tools.replica.place import ppdb_place
    from stream_assoc.tools.replica.repair import Repair
    from stream_assoc.wiring.stores import reader_of

    to, progress = ppdb_side(ppdb_place(ppdb, schema)), Progress()
    # It tells what is wrong with an APDB in the words of its settings.
    reader_of(settings).close()
    url, namespace = settings.apdb.connection_url(), settings.apdb.namespace
    tallies = {table: TableTally() for table in KEYS}
    with contextlib.closing(Repair()) as plan:
        with comparing(apdb_side(url, namespace), to) as both:
            for table, tally in tallies.items():
                for judgement in progress.counting(both.judgements(table), f"{table}: ids compared"):
                    tally.add(judgement)
                    if repair:
                        plan.add(table, judgement)
        if repair:
            with progress.doing("repairing"):
                plan.carry_out(parse_url(url, namespace).administration(), to, both)
    return Findings(tallies, len(both.replicated), both.n_awaiting, len(both.changed))


def _tell(found: "Findings", *, json_: bool) -> None:
    typer.echo(json.dumps(found.as_json(), indent=2) if json_ else "\n".join(found.lines()))
