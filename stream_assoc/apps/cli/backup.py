"""``stream-assoc apdb begin-backup``, ``end-backup`` and ``apply-plans``: what goes with snapshots of Cassandra."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from stream_assoc.apps.cli.app import ConfigOption, SetOption, closing, settings_of
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.settings import ConfigurationError
from stream_assoc.settings.settings import Settings

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.backups import ApdbBackups

BEGIN_HELP: Final = closing("stream-assoc apdb begin-backup 20261128")
END_HELP: Final = closing("stream-assoc apdb end-backup")
APPLY_HELP: Final = closing("stream-assoc apdb apply-plans")


def begin_backup(
    name: Annotated[str, typer.Argument(help="Name of the backup, which names its snapshots.")],
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Begin a backup of an APDB on Cassandra, and print the commands that make its snapshots; daemons may run.

    Run each command on every node, and wait for all nodes before the next
    command: their order keeps the backup whole. Then copy the snapshots off
    the nodes, and run `apdb end-backup`.
    """
    backups = _backups_of(settings_of(config, set_))
    with Progress().doing("marking the batches that are stored"):
        backups.begin()
    for number, part in enumerate(backups.parts(), 1):
        tables = ",".join(f"{part.keyspace}.{table}" for table in part.tables)
        typer.echo(f"nodetool snapshot --tag {name}-{number}-{part.name} --kt-list {tables}")


def end_backup(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Delete the plans that no backup needs any more, once the one that was begun last is whole and off the nodes.

    These are the plans of batches that were stored before it began, and of
    those that were given up. All others stay. Daemons may run.
    """
    backups = _backups_of(settings_of(config, set_))
    with Progress().doing("deleting plans"):
        n_deleted = backups.end()
    typer.echo(f"{n_deleted:,} plans of batches that the backup holds are deleted.")


def apply_plans(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Put together what the snapshots of a restored APDB on Cassandra have torn; let no daemon run.

    The plan of every batch that the ledger knows is applied again, in their
    order. Batches that were not stored by then are given up: Kafka brings
    them again. The database gets a new identity, so that nothing cached is
    believed. Whatever interrupts it, run it again.
    """
    settings = settings_of(config, set_)
    backups, n_groups = _backups_of(settings), 0
    with Progress().count("plans applied") as tell:
        for n_groups in backups.apply_plans():
            tell(n_groups)
    typer.echo(
        f"{settings.apdb.url}: {n_groups:,} plans are applied. Inspect it (`stream-assoc apdb check --deep`), and "
        "set the offsets of the Kafka group back to before the backup."
    )


def _backups_of(settings: Settings) -> "ApdbBackups":
    from stream_assoc.stores.apdb.backends import parse_url
    from stream_assoc.wiring.stores import patience_of

    place = parse_url(settings.apdb.connection_url(), settings.apdb.namespace)
    backups = place.backups(patience_of(settings))
    if backups is None:
        raise ConfigurationError(
            "the setting apdb.url names an SQL database, whose backups need no help of ours: use pg_basebackup, "
            "pg_dump or `sqlite3 .backup`"
        )
    return backups
