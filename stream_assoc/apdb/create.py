"""Making an APDB, and making an existing one ready for this package.

``lsst.dax.apdb`` is imported inside the one function that needs it, because
that import costs seconds.
"""

import functools
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from stream_assoc.apdb import postgresql_connection, sqlite
from stream_assoc.apdb.compatibility import INIT_REMEDY, ApdbReport, is_older, is_older_layout, partition_name
from stream_assoc.apdb.exceptions import ApdbSchemaError, ApdbUnavailableError
from stream_assoc.apdb.factory import SqliteUrl, open_apdb, parse_url
from stream_assoc.apdb.postgresql_catalogue import find_schema
from stream_assoc.apdb.statements import (
    COUNTER,
    DEFINITIONS,
    IDENTITY_KEY,
    LEDGER,
    LEDGER_COLUMNS,
    OUR_TABLES,
    OUR_VERSION,
    OUR_VERSION_KEY,
    OUTBOX,
    PARTITION_KEY,
    quoted,
)

_SQLITE_TYPES: Final = {"{bytes}": "BLOB", "{sequence}": "INTEGER PRIMARY KEY AUTOINCREMENT"}
_POSTGRESQL_TYPES: Final = {"{bytes}": "BYTEA", "{sequence}": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}


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
    if drop and _in_transaction(url, namespace, _holds_apdb, missing=False):
        _in_transaction(url, namespace, _drop, missing=None)
    if drop or not _in_transaction(url, namespace, _holds_apdb, missing=False):
        _create(url, namespace, drop=drop, replication=replication)
        _in_transaction(url, namespace, _leave_room, missing=None)
    extend(url, namespace, tile_level=tile_level, cell_level=cell_level)
    return check(url, namespace, tile_level=tile_level, cell_level=cell_level)


def extend(url: str, namespace: str | None = None, *, tile_level: int = 10, cell_level: int = 8) -> None:
    """Add our tables to an APDB that exists, or bring those of an older version up to date.

    No daemon may be running for the latter. Tables of this version are left as they are.

    The single-source counter starts at the number of DIAObjects that have one
    source now, so an APDB that others have filled counts right from the start.

    Raises
    ------
    ApdbSchemaError
        If there is no APDB, or one without DiaObjectLast.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    if not _in_transaction(url, namespace, _holds_apdb, missing=False):
        raise ApdbSchemaError(f"the database that apdb.url names holds no APDB with DiaObjectLast; {INIT_REMEDY}")
    partition = partition_name(tile_level, cell_level)
    _in_transaction(url, namespace, functools.partial(_extend, partition=partition), missing=None)


def repartition(url: str, namespace: str | None = None, *, tile_level: int, cell_level: int) -> ApdbReport:
    """Divide the sky of an APDB anew. No daemon may be running on it.

    The database gets a new identity, so that nothing cached before is found again.

    Raises
    ------
    ApdbSchemaError
        If there is no APDB prepared for this version.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    partition = partition_name(tile_level, cell_level)
    _in_transaction(url, namespace, functools.partial(_repartition, partition=partition), missing=None)
    return check(url, namespace, tile_level=tile_level, cell_level=cell_level)


def check(url: str, namespace: str | None = None, *, tile_level: int = 10, cell_level: int = 8) -> ApdbReport:
    """Return what the database is, or raise what keeps the daemon from writing to it.

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
        return apdb.report
    finally:
        apdb.close()


@dataclass(frozen=True, slots=True)
class _Database:
    """What creation needs of either database.

    ``execute`` runs a statement, ``name`` quotes a table's name, ``exists``
    looks for a table, ``mark`` stands for a parameter in a statement, and
    ``pages_have_room`` tells whether a table may be told to leave some.
    """

    execute: Callable[..., Any]
    name: Callable[[str], str]
    exists: Callable[[str], bool]
    mark: str
    pages_have_room: bool


def _holds_apdb(database: _Database, _types: dict[str, str]) -> bool:
    return database.exists("metadata") and database.exists("DiaObjectLast")


def _extend(database: _Database, types: dict[str, str], *, partition: str) -> None:
    """Create what is missing; the version row says that the counter has been initialised."""
    version = database.execute(
        f"SELECT value FROM {database.name('metadata')} WHERE name = {database.mark}", (OUR_VERSION_KEY,)
    ).fetchone()
    is_old = version is not None and is_older_layout(version[0])
    if is_old:
        _set_aside(database)
    for table, definition in DEFINITIONS.items():
        statement = definition.replace("{table}", database.name(table))
        for placeholder, type_name in types.items():
            statement = statement.replace(placeholder, type_name)
        database.execute(statement)
    if is_old:
        _put_back(database)
    if version is not None and is_older(version[0]):
        _set(database, OUR_VERSION_KEY, OUR_VERSION)
    _note(database, IDENTITY_KEY, uuid.uuid4().hex)
    _note(database, PARTITION_KEY, partition)
    if _note(database, OUR_VERSION_KEY, OUR_VERSION):
        database.execute(
            f"INSERT INTO {database.name(COUNTER)} (shard, n_single_source) "
            f'SELECT 0, count(*) FROM {database.name("DiaObjectLast")} WHERE "nDiaSources" = 1'
        )


def _leave_room(database: _Database, _types: dict[str, str]) -> None:
    """Leave room in each page of DiaObject for the end of every version, which is noted once.

    PostgreSQL then writes the changed row beside the old one and leaves the
    three indexes alone: half the time, and a fifth of the write-ahead log.
    """
    if database.pages_have_room:
        database.execute(f"ALTER TABLE {database.name('DiaObject')} SET (fillfactor = 50)")


def _set_aside(database: _Database) -> None:
    """Take the tables of version 1, which knew no revisions, out of the way of the new ones."""
    for table in (LEDGER, OUTBOX):
        database.execute(f'CREATE TEMPORARY TABLE "old{table}" AS SELECT * FROM {database.name(table)}')
        database.execute(f"DROP TABLE {database.name(table)}")


def _put_back(database: _Database) -> None:
    """Fill the new tables: what version 1 holds was processed once."""
    kept = [column for column in LEDGER_COLUMNS if column != "revision"]
    database.execute(
        f'INSERT INTO {database.name(LEDGER)} ({quoted(kept)}, revision) SELECT {quoted(kept)}, 0 FROM "old{LEDGER}"'
    )
    database.execute(
        f"INSERT INTO {database.name(OUTBOX)} (visit, detector, revision, outputs) "
        f'SELECT visit, detector, 0, outputs FROM "old{OUTBOX}" ORDER BY sequence'
    )
    for table in (LEDGER, OUTBOX):
        database.execute(f'DROP TABLE "old{table}"')


def _note(database: _Database, key: str, value: str) -> bool:
    """Write a row of the metadata table unless it is there; return whether it was not."""
    added = database.execute(
        f"INSERT INTO {database.name('metadata')} (name, value) VALUES ({database.mark}, {database.mark}) "
        "ON CONFLICT (name) DO NOTHING RETURNING name",
        (key, value),
    ).fetchall()
    return bool(added)


def _repartition(database: _Database, _types: dict[str, str], *, partition: str) -> None:
    _set(database, IDENTITY_KEY, uuid.uuid4().hex)
    _set(database, PARTITION_KEY, partition)


def _set(database: _Database, key: str, value: str) -> None:
    """Change a row of the metadata table."""
    database.execute(
        f"UPDATE {database.name('metadata')} SET value = {database.mark} WHERE name = {database.mark}", (value, key)
    )


def _drop(database: _Database, _types: dict[str, str]) -> None:
    """Drop our tables and notes; dax_apdb drops its own and knows nothing of ours."""
    for table in OUR_TABLES:
        database.execute(f"DROP TABLE IF EXISTS {database.name(table)}")
    for key in (OUR_VERSION_KEY, IDENTITY_KEY, PARTITION_KEY):
        database.execute(f"DELETE FROM {database.name('metadata')} WHERE name = {database.mark}", (key,))


def _in_transaction(
    url: str, namespace: str | None, action: Callable[[_Database, dict[str, str]], Any], *, missing: object
) -> Any:  # noqa: ANN401
    """Run an action on the database; ``missing`` is the answer of an SQLite file that does not exist."""
    parsed = parse_url(url)
    if isinstance(parsed, SqliteUrl):
        if not parsed.path.is_file():
            return missing
        with sqlite.translated(), closing(sqlite3.connect(sqlite.one_name(parsed.path))) as connection, connection:
            # Without it sqlite3 would commit each definition of a table at once.
            connection.execute("BEGIN IMMEDIATE")
            return action(_sqlite_database(connection), _SQLITE_TYPES)
    with postgresql_connection.translated(), psycopg.connect(parsed.conninfo) as server:
        return action(_postgresql_database(server, namespace), _POSTGRESQL_TYPES)


def _sqlite_database(connection: sqlite3.Connection) -> _Database:
    def exists(table: str) -> bool:
        return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    return _Database(connection.execute, lambda table: f'"{table}"', exists, "?", pages_have_room=False)


def _postgresql_database(server: psycopg.Connection[Any], namespace: str | None) -> _Database:
    schema = find_schema(server, namespace)

    def name(table: str) -> str:
        if schema is None:
            raise ApdbSchemaError(f"the database that apdb.url names has no schema {namespace!r} (apdb.namespace)")
        return schema.full_name(server, table)

    def exists(table: str) -> bool:
        if schema is None:
            return False
        row = server.execute("SELECT to_regclass(%s) IS NOT NULL", [name(table)]).fetchone()
        return row is not None and bool(row[0])

    def execute(statement: str, parameters: tuple[str, ...] | None = None) -> Any:  # noqa: ANN401
        return server.execute(sql.SQL(statement), parameters)

    return _Database(execute, name, exists, "%s", pages_have_room=True)


def _create(url: str, namespace: str | None, *, drop: bool, replication: bool) -> None:
    import sqlalchemy.exc
    from lsst.dax.apdb.sql import ApdbSql

    try:
        ApdbSql.init_database(
            db_url=parse_url(url).sqlalchemy_url,
            dia_object_index="last_object_table",
            enable_replica=replication,
            namespace=namespace,
            drop=drop,
        )
    except sqlalchemy.exc.OperationalError as error:
        raise ApdbUnavailableError(f"the APDB cannot be created now: {error.orig}") from error
    except sqlalchemy.exc.DBAPIError as error:
        raise ApdbSchemaError(f"the APDB cannot be created: {error.orig}") from error
