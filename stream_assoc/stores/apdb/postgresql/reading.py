"""Reading an APDB in PostgreSQL."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.pool import ConnectionPool
from stream_assoc.stores.apdb.postgresql.catalogue import read_catalogue
from stream_assoc.stores.apdb.postgresql.connection import Connector, translated
from stream_assoc.stores.apdb.reading.port import Row
from stream_assoc.stores.apdb.sql.compatibility import check_compatible

_ESTIMATED: Final = ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource")

_ROWS: Final = """
    SELECT asked.name, greatest(class.reltuples::bigint, live.n_live_tup, 0)
    FROM jsonb_each_text(?::jsonb) AS asked(name, full_name)
    JOIN pg_class class ON class.oid = to_regclass(asked.full_name)
    LEFT JOIN pg_stat_all_tables live ON live.relid = class.oid
"""
"""``reltuples`` is what ANALYZE found last, ``n_live_tup`` what has been written since; either may be unknown."""


class PostgresqlDatabase:
    """`ReadOnlyDatabase` on a PostgreSQL server, whose sessions may not write.

    Parameters
    ----------
    conninfo : `str`
        libpq connection string or URL.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    patience : `Patience`
        How long to wait for the server; it ends a statement by itself after
        `Patience.answer_seconds`.

    Raises
    ------
    ApdbSchemaError
        If the database is no APDB prepared for this package.
    ApdbUnavailableError
        If the server cannot be reached now.
    """

    numbers = "SELECT value::bigint FROM jsonb_array_elements_text(?::jsonb) AS numbers(value)"
    ranges = (
        "SELECT (pair->>0)::bigint AS low, (pair->>1)::bigint AS high FROM jsonb_array_elements(?::jsonb) AS r(pair)"
    )

    def __init__(self, conninfo: str, namespace: str | None = None, patience: Patience = DEFAULT_PATIENCE) -> None:
        settings = {
            "default_transaction_read_only": "on",
            "statement_timeout": str(max(1, round(1000 * patience.answer_seconds))),
            # Every statement is a lookup by key; see the adapter that writes.
            "enable_seqscan": "off",
            "jit": "off",
        }
        self._connector = Connector(conninfo, settings, patience)
        self._pool = ConnectionPool(self._connector.connect)
        with self._pool.connection() as connection, translated():
            catalogue = read_catalogue(connection, namespace)
        self._names, tables = catalogue.names, set(catalogue.columns)
        rows = self.fetch("SELECT name, value FROM {metadata}") if "metadata" in tables else []
        self.report = check_compatible(dict(rows), tables)

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a SELECT. See `ReadOnlyDatabase.fetch`."""
        text = statement.format(**self._names).replace("?", "%s")
        with self._pool.connection() as connection:
            try:
                with translated():
                    return connection.execute(text.encode(), parameters or None, binary=True).fetchall()
            except BaseException:
                self._connector.lose(connection)
                raise

    def estimated_rows(self) -> Mapping[str, int]:
        """Return about how many rows the tables have. See `ReadOnlyDatabase.estimated_rows`."""
        return dict(self.fetch(_ROWS, (json.dumps({name: self._names[name] for name in _ESTIMATED}),)))

    def close(self) -> None:
        """Release every connection."""
        self._pool.close()
