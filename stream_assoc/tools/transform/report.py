"""What became of the rows of a table, for whoever sent it."""

from dataclasses import dataclass
from typing import Final

from stream_assoc.tools.transform.columns import PURPOSES, MissingColumns
from stream_assoc.tools.transform.selection import LeftOut

_N_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class TableReport:
    """An account of every row of a table.

    ``n_rows == n_sources + sum(one.n_rows for one in left_out)``

    Attributes
    ----------
    n_rows : `int`
        Rows of the table.
    n_sources, n_batches : `int`
        Those that are sources of a batch, and the batches.
    left_out : `tuple` [`LeftOut`, ...]
        The others, by reason.
    missing : `MissingColumns`
        DIASource columns that are null in every row.
    names : `dict` [`int`, `str`]
        What the rows are called that ``left_out`` gives as examples.
    notes : `tuple` [`str`, ...]
        What else is to be told, of what the rows were read from.
    """

    n_rows: int
    n_sources: int
    n_batches: int
    left_out: tuple[LeftOut, ...]
    missing: MissingColumns
    names: dict[int, str]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the account for people: how much is used, what is missing, what is left out and why."""
        used = f"{self.n_sources:,} of {self.n_rows:,} rows are sources of {self.n_batches:,} batches."
        return [*self.notes, used, *map(self._told, self.left_out), *self._missing()]

    def reasons(self) -> str:
        """Return why rows were left out, in one line."""
        return "; ".join(f"{one.n_rows:,}: {one.reason}" for one in self.left_out)

    def _told(self, one: LeftOut) -> str:
        named = ", ".join(self.names[row] for row in one.rows)
        more = ", ..." if one.n_rows > len(one.rows) else ""
        return f"Left out: {one.n_rows:,} {'row' if one.n_rows == 1 else 'rows'}, {one.reason} ({named}{more})."

    def _missing(self) -> list[str]:
        if not self.n_sources:
            return []
        null = dict.fromkeys(self.missing.names)
        told = []
        for purpose, columns in PURPOSES:
            names = [name for name in columns if name in null]
            if names:
                told.append(f"Null in all rows, of the columns for {purpose}: {self._named(names)}.")
        rest = [name for name in null if not any(name in columns for _, columns in PURPOSES)]
        # Those that may only be misspelt come first, the many flags last.
        rest.sort(key=lambda name: (name not in self.missing.alike, "flag" in name.lower()))
        if rest:
            more = f" and {len(rest) - _N_NAMED} more" if len(rest) > _N_NAMED else ""
            told.append(f"Null in all rows, of columns that are only stored: {self._named(rest[:_N_NAMED])}{more}.")
        return told

    def _named(self, names: list[str]) -> str:
        return ", ".join(map(self.missing.told, names))
