"""Creating an APDB of any backend, and preparing an existing one for this package."""

from collections.abc import Sequence
from pathlib import Path

from stream_assoc.private_files import create_private
from stream_assoc.stores.apdb.backend import ApdbReport, ClusterChoices
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.factory import open_apdb


def init(  # noqa: PLR0913 - all but one are optional
    url: str,
    namespace: str | None = None,
    *,
    drop: bool = False,
    replication: bool = True,
    tile_level: int = 10,
    cell_level: int = 8,
    cluster: ClusterChoices | None = None,
) -> ApdbReport:
    """Create an APDB, or complete one that exists.

    Parameters
    ----------
    url : `str`
        ``sqlite:///path``, ``postgresql://...`` or ``cassandra://...``.
    namespace : `str`, optional
        PostgreSQL schema for all tables.
    drop : `bool`
        Whether to drop what exists, *with all its data*, before.
    replication : `bool`
        Whether rows are also noted for replication to the PPDB; of a new APDB
        only, because dax_apdb freezes it at creation.
    tile_level, cell_level : `int`
        HTM levels of the tiles and cells; of an APDB without our tables only.
    cluster : `ClusterChoices`, optional
        How a new APDB on Cassandra is spread over its nodes.

    Returns
    -------
    report : `ApdbReport`
        What the database is now.

    Raises
    ------
    ApdbConfigurationError
        If ``url`` is of another kind of database, or not of one that ``cluster`` is for.
    ApdbSchemaError
        If an APDB exists that this package cannot write to.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    administration = parse_url(url, namespace).administration()
    administration.init(
        drop=drop, replication=replication, tile_level=tile_level, cell_level=cell_level, cluster=cluster
    )
    return check(url, namespace, tile_level=tile_level, cell_level=cell_level)


def plan(url: str, namespace: str | None = None, *, drop: bool = False, statistics: Sequence[str] = ()) -> list[str]:
    """Return what `init` and `add_columns` would do, a line for each step; nothing is changed.

    Raises
    ------
    ApdbError
        As they would.
    """
    return parse_url(url, namespace).administration().plan(drop=drop, statistics=statistics)


def extend(url: str, namespace: str | None = None, *, tile_level: int = 10, cell_level: int = 8) -> None:
    """Add our tables to an APDB that exists, or bring those of an older version up to date.

    Each migration is applied in a transaction of its own, so one that was
    interrupted is gone on with. Tables of this version are left as they are,
    but for columns of `~stream_assoc.core.model.further_statistics` that they lack.

    Raises
    ------
    ApdbSchemaError
        If there is no APDB, one without DiaObjectLast, or one of a later version.
    ApdbUnavailableError
        If the database cannot be reached, or daemons hold it.
    """
    parse_url(url, namespace).administration().extend(tile_level=tile_level, cell_level=cell_level)


def add_columns(url: str, namespace: str | None, statistics: Sequence[str]) -> None:
    """Make room for the columns of plugins of other packages, beside those of DiaObject.

    Raises
    ------
    ApdbSchemaError
        If there is no APDB prepared for this version.
    ApdbUnavailableError
        If the database cannot be reached, or daemons hold it.
    """
    parse_url(url, namespace).administration().add_columns(statistics)


def save_dax_config(
    url: str, namespace: str | None, path: Path, *, replication: bool, replica_chunk_seconds: int = 600
) -> None:
    """Write the configuration file with which programs of lsst-dax-apdb and lsst-dax-ppdb open an APDB.

    The file may hold a password. A new one can be read by its owner only; the
    permissions of one that exists are its owner's choice.

    Parameters
    ----------
    url, namespace
        As for `init`.
    path : `~pathlib.Path`
        The file, YAML as ``lsst.dax.apdb.ApdbConfig.save`` writes it.
    replication : `bool`
        Whether the APDB notes its rows for replication, as its `ApdbReport` says.
    replica_chunk_seconds : `int`
        Length of a replica chunk, that of all its writers.

    Raises
    ------
    ApdbConfigurationError
        If ``url`` is of another kind of database.
    OSError
        If the file cannot be written.
    """
    known = {"enable_replica": replication, "replica_chunk_seconds": replica_chunk_seconds}
    config = parse_url(url, namespace).dax_config().model_copy(update=known)
    create_private(path)
    config.save(path.absolute())


def repartition(url: str, namespace: str | None = None, *, tile_level: int, cell_level: int) -> ApdbReport:
    """Divide the sky of an APDB anew. Daemons that run on it are refused from then on.

    The database gets a new identity and a new secret, so that nothing cached
    before is found, or believed, again.

    Raises
    ------
    ApdbSchemaError
        If there is no APDB prepared for this version.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    parse_url(url, namespace).administration().repartition(tile_level=tile_level, cell_level=cell_level)
    return check(url, namespace, tile_level=tile_level, cell_level=cell_level)


def check(
    url: str,
    namespace: str | None = None,
    *,
    tile_level: int = 10,
    cell_level: int = 8,
    statistics: Sequence[str] = (),
) -> ApdbReport:
    """Return what the database is, or raise what keeps the daemon from writing to it.

    Parameters
    ----------
    url, namespace, tile_level, cell_level
        As for `init`.
    statistics : sequence of `str`
        Columns of plugins of other packages that the daemon would store.

    Raises
    ------
    ApdbConfigurationError
        If it is partitioned at other levels.
    ApdbSchemaError
        If it is not an APDB prepared for this version. The message names the remedy.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    apdb = open_apdb(url, namespace, tile_level=tile_level, cell_level=cell_level)
    try:
        apdb.expect_statistics(statistics)
        return apdb.report
    finally:
        apdb.close()
