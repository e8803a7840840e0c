"""Making an APDB, and making an existing one ready for this package.

``lsst.dax.apdb`` is imported inside the one function that needs it, because
that import costs seconds.
"""

import uuid
from collections.abc import Sequence

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.schema import schema_version
from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.private_files import create_private
from stream_assoc.stores.apdb.administration import Database, changing, looking
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.factory import SqliteUrl, open_apdb, parse_url
from stream_assoc.stores.apdb.sql.compatibility import (
    CONFIGURATION_KEY,
    INIT_REMEDY,
    SCHEMA_VERSION_KEY,
    ApdbReport,
    check_dax,
    check_not_newer,
    partition_name,
)
from stream_assoc.stores.apdb.sql.migrations import (
    OUR_VERSION,
    add_statistics,
    migrate,
    missing_statistics,
    new_secret,
    pending,
)
from stream_assoc.stores.apdb.sql.statements import (
    CACHE_SECRET_KEY,
    FURTHER,
    IDENTITY_KEY,
    NOTES,
    OUR_TABLES,
    OUR_VERSION_KEY,
    PARTITION_KEY,
)


def init(
    url: str,
    namespace: str | None = None,
    *,
    drop: bool = False,
    replication: bool = True,
    tile_level: int = 10,
    cell_level: int = 8,
) -> ApdbReport:
    """Create an APDB, or complete one that exists.

    Parameters
    ----------
    url : `str`
        ``sqlite:///path`` or ``postgresql://...``.
    namespace : `str`, optional
        PostgreSQL schema for all tables.
    drop : `bool`
        Whether to drop what exists, *with all its data*, before.
    replication : `bool`
        Whether rows are also noted for replication to the PPDB; of a new APDB
        only, because dax_apdb freezes it at creation.
    tile_level, cell_level : `int`
        HTM levels of the tiles and cells; of an APDB without our tables only.

    Returns
    -------
    report : `ApdbReport`
        What the database is now.

    Raises
    ------
    ApdbConfigurationError
        If ``url`` is of another kind of database.
    ApdbSchemaError
        If an APDB exists that this package cannot write to.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    exists = _holds_apdb(url, namespace)
    if drop and exists:
        _drop(url, namespace)
    if drop or not exists:
        _create(url, namespace, drop=drop, replication=replication)
        _leave_room(url, namespace)
    extend(url, namespace, tile_level=tile_level, cell_level=cell_level)
    return check(url, namespace, tile_level=tile_level, cell_level=cell_level)


def plan(url: str, namespace: str | None = None, *, drop: bool = False, statistics: Sequence[str] = ()) -> list[str]:
    """Return what `init` and `add_columns` would do, a line for each step; nothing is changed.

    Raises
    ------
    ApdbError
        As they would.
    """
    with looking(url, namespace) as database:
        exists = database is not None and database.holds_apdb
        steps = ["drop all tables of the APDB, with their rows"] if drop and exists else []
        kept = database if exists and not drop else None
        if kept is None:
            steps.append(f"create the tables of lsst.dax.apdb, APDB schema {schema_version()}")
        else:
            _check_before(kept)
        steps += [f"migrate to {one.version}: {one.purpose}" for one in pending(kept)]
        if columns := missing_statistics(kept, _columns(statistics)):
            steps.append(f"add to {FURTHER}: {', '.join(columns)}")
    return steps


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
    is_done = False
    while not is_done:
        with changing(url, namespace) as database:
            if database is None or not database.holds_apdb:
                raise ApdbSchemaError(
                    f"the database that apdb.url names holds no APDB with DiaObjectLast; {INIT_REMEDY}"
                )
            _check_before(database)
            if left := pending(database):
                migrate(database, left[0])
            else:
                _check_after(database)
                add_statistics(database, missing_statistics(database, _columns()))
                notes = _new_names() | {PARTITION_KEY: partition_name(tile_level, cell_level)}
                for key, value in notes.items():
                    if database.note(key) is None:
                        database.set_note(key, value)
                is_done = True


def add_columns(url: str, namespace: str | None, statistics: Sequence[str]) -> None:
    """Make room for the columns of plugins of other packages, beside those of DiaObject.

    Raises
    ------
    ApdbSchemaError
        If there is no APDB prepared for this version.
    ApdbUnavailableError
        If the database cannot be reached, or daemons hold it.
    """
    with looking(url, namespace) as database:
        missing = missing_statistics(database, statistics)
    if missing:
        with changing(url, namespace) as database:
            if database is None or not database.exists(FURTHER):
                raise ApdbSchemaError(f"the database that apdb.url names has no table {FURTHER}; {INIT_REMEDY}")
            add_statistics(database, missing_statistics(database, statistics))


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
    with changing(url, namespace) as database:
        if database is not None and database.exists("metadata"):
            for key, value in _new_names().items():
                database.set_note(key, value)
            database.set_note(PARTITION_KEY, partition_name(tile_level, cell_level))
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


def _new_names() -> dict[str, str]:
    """Return the notes by which nothing that was cached before is found, or believed, again."""
    return {IDENTITY_KEY: uuid.uuid4().hex, CACHE_SECRET_KEY: new_secret()}


def _columns(statistics: Sequence[str] = ()) -> list[str]:
    return list(dict.fromkeys([*(column.name for column in further_statistics()), *statistics]))


def _holds_apdb(url: str, namespace: str | None) -> bool:
    with looking(url, namespace) as database:
        return database is not None and database.holds_apdb


def _check_before(database: Database) -> None:
    """Refuse what this version cannot migrate, before anything is changed."""
    notes = {key: value for key in (SCHEMA_VERSION_KEY, CONFIGURATION_KEY) if (value := database.note(key))}
    if SCHEMA_VERSION_KEY in notes:
        check_dax(notes)
    if version := database.note(OUR_VERSION_KEY):
        check_not_newer(version)


def _check_after(database: Database) -> None:
    """Refuse to go on with an APDB that lost a table of ours: making an empty one would hide what was in it."""
    if lost := [table for table in OUR_TABLES if not database.exists(table)]:
        raise ApdbSchemaError(
            f"the APDB says that it is of version {OUR_VERSION} of the stream_assoc tables, but {', '.join(lost)} is "
            "not there; restore it from a backup"
        )


def _leave_room(url: str, namespace: str | None) -> None:
    """Leave room in each page of DiaObject for the end of every version, which is noted once.

    PostgreSQL then writes the changed row beside the old one and leaves the
    three indexes alone: half the time, and a fifth of the write-ahead log.
    """
    with changing(url, namespace) as database:
        if database is not None and database.pages_have_room:
            database.run("ALTER TABLE {DiaObject} SET (fillfactor = 50)")


def _drop(url: str, namespace: str | None) -> None:
    """Drop our tables and notes; dax_apdb drops its own and knows nothing of ours."""
    with changing(url, namespace) as database:
        if database is None:
            return
        for table in OUR_TABLES:
            database.run(f"DROP TABLE IF EXISTS {{{table}}}")
        for key in NOTES:
            database.run("DELETE FROM {metadata} WHERE name = ?", key)


def _create(url: str, namespace: str | None, *, drop: bool, replication: bool) -> None:
    import sqlalchemy.exc
    from lsst.dax.apdb.sql import ApdbSql

    parsed = parse_url(url)
    try:
        if isinstance(parsed, SqliteUrl):
            create_private(parsed.path)
        ApdbSql.init_database(
            db_url=parsed.sqlalchemy_url,
            dia_object_index="last_object_table",
            enable_replica=replication,
            namespace=namespace,
            drop=drop,
        )
    except OSError as error:
        raise ApdbUnavailableError(f"the APDB cannot be created now: {reason_of(error)}") from error
    except sqlalchemy.exc.OperationalError as error:
        raise ApdbUnavailableError(f"the APDB cannot be created now: {reason_of(error.orig or error)}") from error
    except sqlalchemy.exc.DBAPIError as error:
        raise ApdbSchemaError(f"the APDB cannot be created: {reason_of(error.orig or error)}") from error
