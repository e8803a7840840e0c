"""``stream-assoc apdb copy``: an APDB in SQLite or PostgreSQL goes on on Cassandra."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stream_assoc.apps.cli.app import ConfigOption, SetOption, closing, note, settings_of
from stream_assoc.apps.cli.progress import Progress

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.copying import CopySource, CopyStep

COPY_HELP: Final = closing(
    "stream-assoc apdb copy sqlite:///apdb.sqlite3 --set apdb.url=cassandra://node1,node2/apdb",
    "PGPASSWORD=... stream-assoc apdb copy postgresql://reader@db/apdb --namespace survey",
    codes="0 when all is copied and compared, 1 when a server is away (run it again, and it goes on), 2 when the "
    "source has changed, the keyspace is not empty, or a setting is wrong",
)


def copy(
    source: Annotated[
        str,
        typer.Argument(
            help="URL of the APDB to copy, sqlite:///path or postgresql://user@host/database. Give the password of "
            "PostgreSQL in PGPASSWORD or ~/.pgpass, where nobody else sees it."
        ),
    ],
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Schema of the source's tables.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Copy a whole APDB from SQLite or PostgreSQL into the keyspace on Cassandra that apdb.url names.

    Make the keyspace before by `apdb init`, with the source's sky.tile_level,
    cell_level and plugins; it must be empty. Stop the daemons of the source:
    if anything changes in it meanwhile, the copy ends with an error. No
    daemon can open the keyspace until every row has been compared.

    What is interrupted is gone on with by running it again.
    """
    settings = settings_of(config, set_)

    from stream_assoc.stores.apdb.backends import parse_url
    from stream_assoc.wiring.stores import patience_of

    patience, place = patience_of(settings), parse_url(source, namespace)

    def open_source() -> "AbstractContextManager[CopySource]":
        return place.copy_source(patience)

    target = parse_url(settings.apdb.connection_url(), settings.apdb.namespace)
    n_rows = _shown(target.copy_from(open_source, patience, note))
    compared = f"{n_rows:,} rows were compared" if n_rows else "it was compared before"
    typer.echo(f"{settings.apdb.url} holds what the source held ({compared}): start the daemons on it.")


def _shown(steps: "Iterable[CopyStep]") -> int:
    """Show what is done; return how many rows were compared."""
    progress, n_compared = Progress(), 0
    for (what, total, compares), some in groupby(steps, key=lambda step: (step.what, step.total, step.compares)):
        n_rows = 0
        with progress.count(what, total) as tell:
            for step in some:
                n_rows = step.n_rows
                tell(n_rows)
        n_compared += n_rows if compares else 0
    return n_compared
