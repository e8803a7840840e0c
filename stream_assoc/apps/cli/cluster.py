"""Options of ``apdb init`` that are about a cluster of many nodes."""

import re
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.backend import ClusterChoices

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")

ReplicationFactorOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--replication-factor",
        min=1,
        help="How many nodes of Cassandra keep each row. Default: 3, or as the keyspace has it.",
        show_default=False,
    ),
]
TimePartitionTablesOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--time-partition-tables",
        help="On Cassandra, make tables for each 30 days, so that old ones can be dropped. Takes minutes.",
    ),
]
TimePartitionStartOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--time-partition-start",
        metavar="TIME",
        help="First time of these tables, such as 2026-01-01T00:00:00, TAI. Default: that of dax_apdb.",
        show_default=False,
    ),
]
TimePartitionEndOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--time-partition-end",
        metavar="TIME",
        help="Last time of these tables, TAI. `apdb-cli` adds later ones. Default: that of dax_apdb.",
        show_default=False,
    ),
]


def choices_of(
    replication_factor: int | None, start: str | None, end: str | None, *, time_partition_tables: bool
) -> "ClusterChoices | None":
    """Return what was chosen for a cluster; `None` where nothing was."""
    from stream_assoc.stores.apdb.backend import ClusterChoices

    if not time_partition_tables and (start or end):
        raise typer.BadParameter("--time-partition-start and --time-partition-end go with --time-partition-tables")
    if any(time is not None and _TIME.fullmatch(time) is None for time in (start, end)):
        raise typer.BadParameter("write a time as yyyy-mm-ddThh:mm:ss, such as 2026-01-01T00:00:00")
    choices = ClusterChoices(replication_factor, time_partition_tables, start, end)
    return None if choices == ClusterChoices() else choices
