"""One moment of an APDB in an SQLite file, for as long as its inspection takes."""

import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.sql.database import ALL_TABLES
from stream_assoc.stores.apdb.sql.statements import point_expressions
from stream_assoc.stores.apdb.sqlite.apdb import one_name, translated
from stream_assoc.stores.apdb.sqlite.session_reader import SqliteSessionReader

_NAMES: Final = {name: f'"{name}"' for name in ALL_TABLES}
_ESTIMATED: Final = ("DiaObject", "DiaSource", "DiaForcedSource")


class SqliteMoment:
    """`SqlMoment` in a read transaction.

    Parameters
    ----------
    connection : `sqlite3.Connection`
        In that transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `SqlMoment.fetch`."""
        return self._connection.execute(statement.format(**_NAMES), tuple(parameters)).fetchall()

    def column_names(self, table: str) -> list[str]:
        """See `SqlMoment.column_names`."""
        return [name for (name,) in self.fetch("SELECT name FROM pragma_table_info(?)", (table,))]

    def estimated_rows(self) -> Mapping[str, int]:
        """See `SqlMoment.estimated_rows`: the last rowids of tables that only grow."""
        return {
            name: self.fetch(f"SELECT coalesce(max(rowid), 0) FROM {{{name}}}")[0][0]
            for name in _ESTIMATED
            if self.column_names(name)
        }

    def reader(self, flag_columns: Sequence[str]) -> SessionReader:
        """See `SqlMoment.reader`."""
        return SqliteSessionReader(self._connection, 0, point_expressions(flag_columns, "instr"))


@contextmanager
def moment_of(path: Path, patience: Patience) -> Iterator[SqliteMoment]:
    """Hold on to this moment of a file.

    Raises
    ------
    ApdbSchemaError
        If there is no such file, or it is no database.
    ApdbUnavailableError
        If it cannot be read now.
    """
    uri = f"file:{urllib.parse.quote(str(one_name(path)))}?mode=ro"
    with (
        translated(),
        closing(sqlite3.connect(uri, uri=True, timeout=patience.lock_seconds, isolation_level=None)) as connection,
    ):
        connection.execute("BEGIN")
        yield SqliteMoment(connection)
