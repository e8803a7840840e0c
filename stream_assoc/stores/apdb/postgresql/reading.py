"""Reading an APDB in PostgreSQL."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.pool import ConnectionPool
from stream_assoc.stores.apdb.postgresql.catalogue import read_catalogue
from stream_assoc.stores.apdb.postgresql.connection import BoundedConnection, Connector, translated
from stream_assoc.stores.apdb.postgresql.copy_reader import decode
from stream_assoc.stores.apdb.reading.answers import Row, schema_of
from stream_assoc.stores.apdb.rows.tables import quoted
from stream_assoc.stores.apdb.sql.compatibility import check_compatible

ESTIMATED: Final = ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource")
_ROWS_A_CHUNK: Final = 50_000

ESTIMATES: Final = """
    SELECT asked.name, greatest(class.reltuples::bigint, live.n_live_tup, 0)
    FROM jsonb_each_text(?::jsonb) AS asked(name, full_name)
    JOIN pg_class class ON class.oid = to_regclass(asked.full_name)
    LEFT JOIN pg_stat_all_tables live ON live.relid = class.oid
"""
"""``reltuples`` is what ANALYZE found last, ``n_live_tup`` what has been written since; either may be unknown."""

_BEHIND: Final = """
    SELECT CASE
        WHEN NOT pg_is_in_recovery() THEN NULL
        WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver)
        THEN 0
        ELSE coalesce(
            extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8, 'infinity'::float8
        )
    END
"""
"""By the last transaction that it has, unless it has all that it was sent: then none has come since."""

_SCAN_SETTINGS: Final = "SELECT set_config('enable_seqscan', 'on', true), set_config('statement_timeout', '0', true)"
"""For a transaction that reads a whole table. A server that is silent is still given up."""


class PostgresqlDatabase:
    """`SqlDatabase` on a PostgreSQL server, whose sessions may not write.

    Parameters
    ----------
    conninfo : `str`
        libpq connection string or URL.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    patience : `Patience`
        How long to wait for the server; the server itself ends a lookup after
        `Patience.answer_seconds`.
    any_version : `bool`
        Accept an APDB that is not prepared for this version of the package.

    Raises
    ------
    ApdbSchemaError
        If the database is no APDB prepared for this package.
    ApdbUnavailableError
        If the server cannot be reached.
    """

    numbers = "SELECT value::bigint FROM jsonb_array_elements_text(?::jsonb) AS numbers(value)"
    ranges = (
        "SELECT (pair->>0)::bigint AS low, (pair->>1)::bigint AS high FROM jsonb_array_elements(?::jsonb) AS r(pair)"
    )

    def __init__(
        self,
        conninfo: str,
        namespace: str | None = None,
        patience: Patience = DEFAULT_PATIENCE,
        *,
        any_version: bool = False,
    ) -> None:
        settings = {
            "default_transaction_read_only": "on",
            "statement_timeout": str(max(1, round(1000 * patience.answer_seconds))),
            # A lookup goes by key; see the adapter that writes.
            "enable_seqscan": "off",
            "jit": "off",
        }
        self._connector = Connector(conninfo, settings, patience)
        self._pool = ConnectionPool(self._connector.connect)
        with self._pool.connection() as connection, translated():
            catalogue = read_catalogue(connection, namespace)
        self._names, self._columns = catalogue.names, catalogue.columns
        if not any_version:
            tables = set(self._columns)
            rows = self.fetch("SELECT name, value FROM {metadata}") if "metadata" in tables else []
            check_compatible(dict(rows), tables)

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `SqlDatabase.fetch`."""
        with self._connection() as connection:
            return connection.execute(self._text(statement), parameters or None, binary=True).fetchall()

    def select(self, table: str, columns: Sequence[str], rest: str, parameters: Sequence[object] = ()) -> pa.Table:
        """See `SqlDatabase.select`."""
        known = {column.name: column for column in self._columns.get(table, ())}
        statement = self._text(f"COPY (SELECT {quoted(columns)} FROM {{{table}}} {rest}) TO STDOUT (FORMAT BINARY)")
        with (
            self._connection() as connection,
            connection.cursor() as cursor,
            cursor.copy(statement, parameters or None) as copy,
        ):
            received = b"".join(copy)
        rows = pa.Table.from_batches([decode(received, [known[name] for name in columns])])
        return rows.cast(schema_of(table, columns))

    def stream(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[list[Row]]:
        """See `SqlDatabase.stream`."""
        with self._connection() as connection, connection.transaction():
            connection.execute(_SCAN_SETTINGS)
            with connection.cursor("rows", binary=True) as cursor:
                cursor.execute(self._text(statement), parameters or None)
                yield from iter(lambda: cursor.fetchmany(_ROWS_A_CHUNK), [])

    def seconds_behind(self) -> float | None:
        """See `SqlDatabase.seconds_behind`."""
        ((behind,),) = self.fetch(_BEHIND)
        return None if behind is None else float(behind)

    def column_names(self, table: str) -> list[str]:
        """See `SqlDatabase.column_names`."""
        return [column.name for column in self._columns.get(table, ())]

    def estimated_rows(self) -> Mapping[str, int]:
        """See `SqlDatabase.estimated_rows`."""
        return dict(self.fetch(ESTIMATES, (json.dumps({name: self._names[name] for name in ESTIMATED}),)))

    def close(self) -> None:
        """Release every connection."""
        self._pool.close()

    def _text(self, statement: str) -> bytes:
        return statement.format(**self._names).replace("?", "%s").encode()

    @contextmanager
    def _connection(self) -> Iterator[BoundedConnection]:
        with self._pool.connection() as connection:
            try:
                with translated():
                    yield connection
            except BaseException:
                self._connector.lose(connection)
                raise
