"""Changing the tables of an APDB: one transaction on either database, while no session is inside."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from stream_assoc.stores.apdb.factory import PostgresqlUrl, SqliteUrl, parse_url
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.postgresql.catalogue import TABLES, find_schema
from stream_assoc.stores.apdb.postgresql.connection import translated
from stream_assoc.stores.apdb.sql.statements import DATABASE_CELL
from stream_assoc.stores.apdb.sqlite.apdb import hold_lock, one_name
from stream_assoc.stores.apdb.sqlite.apdb import translated as sqlite_translated

_SQLITE_TYPES: Final = {"bytes": "BLOB", "sequence": "INTEGER PRIMARY KEY AUTOINCREMENT"}
_POSTGRESQL_TYPES: Final = {"bytes": "BYTEA", "sequence": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}


@dataclass(frozen=True, slots=True)
class Database:
    """A transaction on a database that may change its tables.

    Attributes
    ----------
    words : mapping
        What stands for a word in braces: the quoted name of a table, or the
        database's own ``{bytes}`` and ``{sequence}``.
    columns_of : callable
        Returns the columns of a table; none if there is no such table.
    pages_have_room : `bool`
        Whether a table may be told to leave room in its pages.
    """

    words: Mapping[str, str]
    columns_of: Callable[[str], frozenset[str]]
    pages_have_room: bool
    _execute: Callable[[str, tuple[object, ...]], Any]

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows.

        Parameters
        ----------
        statement : `str`
            With words in braces (see ``words``), and ``?`` for each parameter.
        *parameters
        """
        cursor = self._execute(statement.format(**self.words), parameters)
        return cursor.fetchall() if cursor.description else []

    def exists(self, table: str) -> bool:
        """Tell whether there is a table of that name."""
        return bool(self.columns_of(table))

    @property
    def holds_apdb(self) -> bool:
        """Whether dax_apdb's tables are there, DiaObjectLast among them."""
        return self.exists("metadata") and self.exists("DiaObjectLast")

    def note(self, key: str) -> str | None:
        """Return a row of the metadata table."""
        rows = self.run("SELECT value FROM {metadata} WHERE name = ?", key)
        return str(rows[0][0]) if rows else None

    def set_note(self, key: str, value: str) -> None:
        """Write a row of the metadata table."""
        self.run(
            "INSERT INTO {metadata} (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            key,
            value,
        )


@contextmanager
def changing(url: str, namespace: str | None) -> Iterator[Database | None]:
    """Begin a transaction that changes tables, and commit it at the end; no session of a daemon is inside meanwhile.

    Parameters
    ----------
    url : `str`
        See `~stream_assoc.stores.apdb.factory.parse_url`.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.

    Yields
    ------
    database : `Database` or `None`
        `None` if there is no file or no schema yet.

    Raises
    ------
    ApdbUnavailableError
        If the database cannot be reached, or daemons hold it for too long.
    """
    with _transaction(url, namespace, writes=True) as database:
        yield database


@contextmanager
def looking(url: str, namespace: str | None) -> Iterator[Database | None]:
    """Begin a transaction that can change nothing; else as `changing`."""
    with _transaction(url, namespace, writes=False) as database:
        yield database


@contextmanager
def _transaction(url: str, namespace: str | None, *, writes: bool) -> Iterator[Database | None]:
    parsed = parse_url(url)
    if isinstance(parsed, PostgresqlUrl):
        yield from _on_postgresql(parsed, namespace, writes)
    elif parsed.path.is_file():
        yield from _on_sqlite(parsed, writes)
    else:
        yield None


def _on_sqlite(url: SqliteUrl, writes: bool) -> Iterator[Database]:
    path = one_name(url.path)
    seconds = DEFAULT_PATIENCE.lock_seconds
    with ExitStack() as stack:
        stack.enter_context(sqlite_translated())
        if writes:
            stack.enter_context(closing(hold_lock(path, seconds)))
        connection = stack.enter_context(closing(sqlite3.connect(path, timeout=seconds, isolation_level=None)))
        connection.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        yield _sqlite_database(connection)
        # Closed without it, the connection undoes everything.
        connection.execute("COMMIT")


def _sqlite_database(connection: sqlite3.Connection) -> Database:
    def columns_of(table: str) -> frozenset[str]:
        return frozenset(name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)))

    names = {table: f'"{table}"' for table in TABLES}
    return Database(names | _SQLITE_TYPES, columns_of, False, connection.execute)


def _on_postgresql(url: PostgresqlUrl, namespace: str | None, writes: bool) -> Iterator[Database | None]:
    with (
        translated(),
        psycopg.connect(url.conninfo, prepare_threshold=None) as server,
        translated(server),
    ):
        # What writes begins as the server is set to begin.
        server.read_only = None if writes else True
        server.execute("SELECT set_config('lock_timeout', %s, true)", [f"{DEFAULT_PATIENCE.lock_seconds:g}s"])
        schema = find_schema(server, namespace)
        if schema is None:
            yield None
            return
        if writes:
            server.execute("SELECT pg_advisory_xact_lock(%s, %s)", [schema.lock_class, DATABASE_CELL])

        def execute(statement: str, parameters: tuple[object, ...]) -> psycopg.Cursor[tuple[Any, ...]]:
            return server.execute(sql.SQL(statement.replace("?", "%s")), parameters or None)

        def columns_of(table: str) -> frozenset[str]:
            rows = server.execute(
                "SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                "WHERE c.relnamespace = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped",
                [schema.oid, table],
            )
            return frozenset(name for (name,) in rows)

        names = {table: schema.full_name(server, table) for table in TABLES}
        yield Database(names | _POSTGRESQL_TYPES, columns_of, True, execute)
