"""Whole columns of an APDB's tables, for reports and comparisons: read, never written."""

import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, Protocol

import psycopg
import pyarrow as pa
from psycopg import sql

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.factory import PostgresqlUrl, SqliteUrl, parse_url
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.postgresql.catalogue import Schema, read_catalogue
from stream_assoc.stores.apdb.postgresql.connection import Connector, translated
from stream_assoc.stores.apdb.sql.statements import FURTHER, quoted
from stream_assoc.stores.apdb.sqlite.apdb import one_name
from stream_assoc.stores.apdb.sqlite.apdb import translated as sqlite_translated

_ROWS: Final = 50_000
"""Rows that become columns together."""


class ColumnReader(Protocol):
    """Reads columns of the tables of ``apdb.yaml``, and of the statistics beside them."""

    def column_names(self, table: str) -> list[str]:
        """Return the columns of a table in their order; none if there is no such table."""

    def read(self, table: str, columns: Sequence[str], where: str = "", parameters: Sequence[Any] = ()) -> pa.Table:
        """Return columns in Rubin's types, NULL as null.

        Parameters
        ----------
        table : `str`
            ``"DiaObject"``, ``"DiaSource"``, ...
        columns : sequence of `str`
        where : `str`
            A condition on quoted columns; a parameter is ``?``.
        parameters : sequence
        """


@contextmanager
def open_columns(url: str, namespace: str | None = None) -> Iterator[ColumnReader]:
    """Open a database for reading.

    Parameters
    ----------
    url : `str`
        See `~stream_assoc.stores.apdb.factory.parse_url`.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.

    Raises
    ------
    ApdbConfigurationError
        If the URL is of another kind.
    ApdbSchemaError
        If the file does not exist, or is no APDB.
    ApdbUnavailableError
        If it cannot be reached.
    """
    parsed = parse_url(url)
    if isinstance(parsed, SqliteUrl):
        if namespace is not None:
            raise ApdbConfigurationError("the setting apdb.namespace is for PostgreSQL; SQLite has no namespaces")
        yield from _sqlite(parsed)
    else:
        yield from _postgresql(parsed, namespace)


def _sqlite(url: SqliteUrl) -> Iterator[ColumnReader]:
    uri = f"file:{urllib.parse.quote(str(one_name(url.path)))}?mode=ro"
    with sqlite_translated(), closing(sqlite3.connect(uri, uri=True)) as connection:
        yield _SqliteColumns(connection)


def _postgresql(url: PostgresqlUrl, namespace: str | None) -> Iterator[ColumnReader]:
    connector = Connector(url.conninfo, {"default_transaction_read_only": "on"}, DEFAULT_PATIENCE)
    with closing(connector.connect()) as connection, translated():
        yield _PostgresqlColumns(connection, read_catalogue(connection, namespace).schema)


class _SqliteColumns:
    """`ColumnReader` of an SQLite file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def column_names(self, table: str) -> list[str]:
        """Return the columns of a table. See `ColumnReader.column_names`."""
        return [name for (name,) in self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]

    def read(self, table: str, columns: Sequence[str], where: str = "", parameters: Sequence[Any] = ()) -> pa.Table:
        """Return columns. See `ColumnReader.read`."""
        statement = f'SELECT {quoted(columns)} FROM "{table}"' + (f" WHERE {where}" if where else "")
        cursor = self._connection.execute(statement, tuple(parameters))
        return _table(table, columns, iter(lambda: cursor.fetchmany(_ROWS), []))


class _PostgresqlColumns:
    """`ColumnReader` of a PostgreSQL database."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", schema: Schema) -> None:
        self._connection = connection
        self._schema = schema

    def column_names(self, table: str) -> list[str]:
        """Return the columns of a table. See `ColumnReader.column_names`."""
        rows = self._connection.execute(
            "SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relnamespace = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            (self._schema.oid, table),
        )
        return [name for (name,) in rows]

    def read(self, table: str, columns: Sequence[str], where: str = "", parameters: Sequence[Any] = ()) -> pa.Table:
        """Return columns. See `ColumnReader.read`."""
        name = sql.Identifier(self._schema.name, table)
        condition = f" WHERE {where.replace('?', '%s')}" if where else ""
        statement = sql.SQL(f"SELECT {quoted(columns)} FROM {{}}{condition}").format(name)
        with self._connection.transaction(), self._connection.cursor("columns", binary=True) as cursor:
            cursor.execute(statement, tuple(parameters))
            return _table(table, columns, iter(lambda: cursor.fetchmany(_ROWS), []))


def _table(table: str, columns: Sequence[str], chunks: Iterator[list[tuple[Any, ...]]]) -> pa.Table:
    schema = pa.schema([pa.field(name, _type_of(table, name)) for name in columns])
    batches = [
        pa.RecordBatch.from_arrays(
            [_array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)],
            schema=schema,
        )
        for rows in chunks
    ]
    return pa.Table.from_batches(batches, schema)


def _type_of(table: str, column: str) -> pa.DataType:
    if table == FURTHER:
        return pa.int64() if column == "diaObjectId" else pa.float64()
    return apdb_table(table).column(column).arrow_type


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    # SQLite keeps booleans as numbers.
    if pa.types.is_boolean(kind):
        return pa.array([None if value is None else bool(value) for value in values], kind)
    return pa.array(values, kind)
