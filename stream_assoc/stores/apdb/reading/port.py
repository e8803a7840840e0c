"""What the archive asks of a database, in the SQL that SQLite and PostgreSQL share.

A statement names a table as ``{DiaObject}`` and a parameter as ``?``. A list of
numbers is bound as JSON text and read back by `ReadOnlyDatabase.numbers` or
`ReadOnlyDatabase.ranges`, the only expressions that differ between dialects.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Row = tuple[Any, ...]


class ReadOnlyDatabase(Protocol):
    """An APDB that is only read. It may be shared by threads.

    Attributes
    ----------
    numbers : `str`
        SELECT of one column of integers; its parameter is a JSON list of them.
    ranges : `str`
        SELECT of the columns ``low`` and ``high``; its parameter is a JSON list
        of pairs of integers.
    """

    numbers: str
    ranges: str

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a SELECT.

        Raises
        ------
        ApdbUnavailableError
            If the database is away, or took longer than it may.
        ApdbSchemaError
            If it does not have what the statement names.
        """

    def estimated_rows(self) -> Mapping[str, int]:
        """Return about how many rows DiaObject, DiaObjectLast, DiaSource and DiaForcedSource have.

        Takes milliseconds whatever their size: the numbers come from
        statistics and keys, not from counting.
        """

    def close(self) -> None:
        """Release every connection."""
