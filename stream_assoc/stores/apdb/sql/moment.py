"""One moment of an SQL database, read in many statements."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.stores.apdb.reading.answers import Row


class SqlMoment(Protocol):
    """A read-only transaction that sees the database as it was when it began.

    Statements name tables and parameters as those of
    `~stream_assoc.stores.apdb.sql.reading.SqlDatabase`.
    """

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a SELECT, however long the server works on it."""

    def column_names(self, table: str) -> Sequence[str]:
        """Return the columns of a table in their order; none if there is no such table."""

    def estimated_rows(self) -> Mapping[str, int]:
        """Return about how many rows DiaObject, DiaObjectLast, DiaSource and DiaForcedSource have."""

    def reader(self, flag_columns: Sequence[str]) -> SessionReader:
        """Return what reads histories of objects in this transaction.

        Parameters
        ----------
        flag_columns : sequence of `str`
            DiaSource flags any of which makes a source count as flagged.
        """
