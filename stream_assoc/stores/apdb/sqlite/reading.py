"""Reading an APDB in an SQLite file."""

import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.pool import ConnectionPool
from stream_assoc.stores.apdb.reading.answers import Row, schema_of, table_of
from stream_assoc.stores.apdb.rows.tables import DAX_TABLES, OUR_TABLES, quoted
from stream_assoc.stores.apdb.sql.compatibility import check_compatible
from stream_assoc.stores.apdb.sqlite.apdb import one_name, translated

_COUNT_UP_TO: Final = 1_000_000
_ROWS_A_CHUNK: Final = 50_000


class SqliteDatabase:
    """`SqlDatabase` in an SQLite file, opened read-only.

    Parameters
    ----------
    path : `pathlib.Path`
        The file.
    patience : `Patience`
        How long to wait for its one writer.
    any_version : `bool`
        Accept an APDB that is not prepared for this version of the package.

    Raises
    ------
    ApdbSchemaError
        If there is no such file, or it is no APDB prepared for this package.
    """

    numbers = "SELECT value FROM json_each(?)"
    ranges = "SELECT json_extract(value, '$[0]') AS low, json_extract(value, '$[1]') AS high FROM json_each(?)"

    def __init__(self, path: Path, patience: Patience = DEFAULT_PATIENCE, *, any_version: bool = False) -> None:
        self._uri = f"file:{urllib.parse.quote(str(one_name(path)))}?mode=ro"
        self._patience = patience
        self._names = {name: f'"{name}"' for name in ("metadata", *DAX_TABLES, *OUR_TABLES)}
        self._pool = ConnectionPool(self._connect)
        if not any_version:
            tables = {name for (name,) in self.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = self.fetch("SELECT name, value FROM {metadata}") if "metadata" in tables else []
            check_compatible(dict(rows), tables)

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `SqlDatabase.fetch`."""
        with self._connection() as connection:
            return connection.execute(statement.format(**self._names), tuple(parameters)).fetchall()

    def select(self, table: str, columns: Sequence[str], rest: str, parameters: Sequence[object] = ()) -> pa.Table:
        """See `SqlDatabase.select`."""
        rows = self.fetch(f"SELECT {quoted(columns)} FROM {{{table}}} {rest}", parameters)
        return table_of(schema_of(table, columns), [rows] if rows else [])

    def stream(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[list[Row]]:
        """See `SqlDatabase.stream`."""
        with self._connection() as connection:
            cursor = connection.execute(statement.format(**self._names), tuple(parameters))
            yield from iter(lambda: cursor.fetchmany(_ROWS_A_CHUNK), [])

    def seconds_behind(self) -> None:
        """See `SqlDatabase.seconds_behind`: a file has no standby."""
        return

    def column_names(self, table: str) -> list[str]:
        """See `SqlDatabase.column_names`."""
        return [name for (name,) in self.fetch("SELECT name FROM pragma_table_info(?)", (table,))]

    def estimated_rows(self) -> Mapping[str, int]:
        """See `SqlDatabase.estimated_rows`.

        For tables that only grow this is the last rowid. The rows of
        DiaObjectLast come and go, so they are counted, up to a million.
        """
        rows = {
            name: self.fetch(f"SELECT coalesce(max(rowid), 0) FROM {{{name}}}")[0][0]
            for name in ("DiaObject", "DiaSource", "DiaForcedSource")
        }
        (row,) = self.fetch(f"SELECT count(*) FROM (SELECT 1 FROM {{DiaObjectLast}} LIMIT {_COUNT_UP_TO})")
        return {**rows, "DiaObjectLast": row[0]}

    def close(self) -> None:
        """Release every connection."""
        self._pool.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._pool.connection() as connection, translated():
            yield connection

    def _connect(self) -> sqlite3.Connection:
        with translated():
            return sqlite3.connect(
                self._uri,
                uri=True,
                timeout=self._patience.lock_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
