"""Reading an APDB in an SQLite file."""

import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.pool import ConnectionPool
from stream_assoc.stores.apdb.reading.port import Row
from stream_assoc.stores.apdb.sql.compatibility import check_compatible
from stream_assoc.stores.apdb.sql.statements import DAX_TABLES, OUR_TABLES
from stream_assoc.stores.apdb.sqlite.apdb import one_name, translated

_COUNT_UP_TO: Final = 1_000_000


class SqliteDatabase:
    """`ReadOnlyDatabase` on an SQLite file, opened read-only.

    Parameters
    ----------
    path : `pathlib.Path`
        The file.
    patience : `Patience`
        How long to wait for its one writer.

    Raises
    ------
    ApdbSchemaError
        If there is no such file, or it is no APDB prepared for this package.
    """

    numbers = "SELECT value FROM json_each(?)"
    ranges = "SELECT json_extract(value, '$[0]') AS low, json_extract(value, '$[1]') AS high FROM json_each(?)"

    def __init__(self, path: Path, patience: Patience = DEFAULT_PATIENCE) -> None:
        self._uri = f"file:{urllib.parse.quote(str(one_name(path)))}?mode=ro"
        self._patience = patience
        self._names = {name: f'"{name}"' for name in ("metadata", *DAX_TABLES, *OUR_TABLES)}
        self._pool = ConnectionPool(self._connect)
        tables = {name for (name,) in self.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = self.fetch("SELECT name, value FROM {metadata}") if "metadata" in tables else []
        self.report = check_compatible(dict(rows), tables)

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a SELECT. See `ReadOnlyDatabase.fetch`."""
        with self._connection() as connection:
            return connection.execute(statement.format(**self._names), tuple(parameters)).fetchall()

    def estimated_rows(self) -> Mapping[str, int]:
        """Return about how many rows the tables have. See `ReadOnlyDatabase.estimated_rows`.

        Tables that only grow are told by their last rowid. DiaObjectLast, whose
        rows come and go, is counted up to a million.
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
