"""From a URL to an APDB."""

from collections.abc import Sequence

from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.notes import partition_name
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION, Replication


def open_apdb(  # noqa: PLR0913 - all but one are optional
    url: str,
    namespace: str | None = None,
    *,
    tile_level: int = 10,
    cell_level: int = 8,
    flag_columns: Sequence[str] = (),
    patience: Patience = DEFAULT_PATIENCE,
    replication: Replication = DEFAULT_REPLICATION,
) -> OpenApdb:
    """Return the adapter for a database, its schema checked.

    Parameters
    ----------
    url : `str`
        See `~stream_assoc.stores.apdb.backends.parse_url`.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    tile_level, cell_level : `int`
        HTM levels of the tiles and cells, those the database was made with.
    flag_columns : `~collections.abc.Sequence` [`str`]
        DiaSource columns that raise the flag of a stored source; the same as
        the pipeline folds, or a rebuilt state differs.
    patience : `Patience`
        How long to wait for the database, and for what other sessions hold.
    replication : `Replication`
        How rows are noted for replicas.

    Raises
    ------
    ApdbConfigurationError
        If the URL is of another kind, or the levels are not the database's.
    ApdbSchemaError
        If the database is no APDB prepared for this version.
    ApdbUnavailableError
        If it cannot be reached.
    """
    place = parse_url(url, namespace)
    apdb = place.open(tile_level=tile_level, flag_columns=flag_columns, patience=patience, replication=replication)
    asked = partition_name(tile_level, cell_level)
    if apdb.report.partition != asked:
        apdb.close()
        raise ApdbConfigurationError(
            f"sky.tile_level/cell_level are {asked}, but the APDB is partitioned as {apdb.report.partition}, and "
            "all its daemons must agree; set them back, or stop every daemon and run "
            "`stream-assoc apdb init --repartition`"
        )
    return apdb
