"""Reading whole tables: a stretch of tokens after another, some side by side, a page at a time."""

from collections.abc import Iterator, Sequence
from typing import Final

from stream_assoc.stores.apdb.cassandra.compatibility import TIME_PARTITIONED, Layout
from stream_assoc.stores.apdb.cassandra.connection import PAGE_ROWS, Connection
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.rows.tables import quoted

STRETCHES: Final = 64
"""So many stretches has a table, or all tables together that one is divided into."""

_SAMPLES: Final = 16
_ROWS_A_SAMPLE: Final = 1_000
_LEAST_TOKEN: Final = -(2**63)
_N_TOKENS: Final = 2**64


class WholeTables:
    """Reads tables from end to end, in no order. There is no one moment: what is written meanwhile may be in it.

    Parameters
    ----------
    connection : `Connection`
    layout : `Layout`
        How dax_apdb has divided its tables.
    """

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self._connection = connection
        self._layout = layout

    def pages(
        self, table: str, columns: Sequence[str], key: Sequence[str] = (), page_rows: int = PAGE_ROWS
    ) -> Iterator[list[Row]]:
        """Yield all rows, some thousands at a time. The rows of a partition follow one another.

        Parameters
        ----------
        table : `str`
            One of dax_apdb's, which may be divided into tables of time partitions, or one of ours.
        columns : sequence of `str`
        key : sequence of `str`, optional
            Its partition key; the default is that of dax_apdb's tables.
        page_rows : `int`, optional
            How many rows at a time.
        """
        names = self.names(table)
        token = f"token({quoted(key or self._key(table))})"
        stretches = token_stretches(max(STRETCHES // len(names), 1))
        for name in names:
            statement = f'SELECT {quoted(columns)} FROM "{name}" WHERE {token} > ? AND {token} <= ?'
            yield from self._connection.pages(statement, stretches, page_rows)

    def estimated_rows(self, table: str) -> int:
        """Return about how many rows a table of dax_apdb has: exactly, if these are few."""
        names = self.names(table)
        return sum(self._estimated(name, table, max(_SAMPLES // len(names), 1)) for name in names)

    def names(self, table: str) -> list[str]:
        """Return the tables that the rows of a table are in."""
        if table in TIME_PARTITIONED and self._layout.time_partitions is not None:
            return [f"{table}_{number}" for number in self._layout.time_partitions]
        return [table]

    def _estimated(self, name: str, table: str, n_samples: int) -> int:
        token = f"token({quoted(self._key(table))})"
        statement = f'SELECT {token} FROM "{name}" WHERE {token} > ? AND {token} <= ? LIMIT {_ROWS_A_SAMPLE}'
        stretches = token_stretches(n_samples)
        found = self._connection.read_each(statement, stretches)
        return sum(
            len(rows) if len(rows) < _ROWS_A_SAMPLE else len(rows) * (high - low) // max(rows[-1][0] - low, 1)
            for (low, high), rows in zip(stretches, found, strict=True)
        )

    def _key(self, table: str) -> tuple[str, ...]:
        if table in TIME_PARTITIONED and self._layout.time_partitions is None:
            return "apdb_part", "apdb_time_part"
        return ("apdb_part",)


def token_stretches(n_stretches: int) -> list[tuple[int, int]]:
    """Return stretches of equal length that hold all tokens; the first token of each is not in it."""
    edges = [_LEAST_TOKEN + number * _N_TOKENS // n_stretches for number in range(n_stretches)]
    return list(zip(edges, [*edges[1:], _LEAST_TOKEN + _N_TOKENS - 1], strict=True))
