"""Records as they come: a table that grows on a terminal, a line each elsewhere."""

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Record = TypeVar("Record")

LINES_BESIDE_ROWS = 7
"""Lines of a terminal that title, headings, borders and caption take."""


@dataclass(frozen=True, slots=True)
class View(Generic[Record]):
    """How records of one kind are shown.

    Attributes
    ----------
    title : `str`
        Over the table.
    headings : sequence of `str`
        Of its columns.
    cells : callable
        Returns the cells of a record.
    line : callable
        Returns a record as one line for people.
    columns : callable
        Returns what of a record is written as JSON.
    """

    title: str
    headings: Sequence[str]
    cells: Callable[[Record], Sequence[str]]
    line: Callable[[Record], str]
    columns: Callable[[Record], Mapping[str, Any]]

    def show(self, records: Iterable[Record], *, as_json: bool) -> None:
        """Print records until there are no more, or Ctrl-C."""
        if as_json:
            for record in records:
                typer.echo(json.dumps(dict(self.columns(record))))
        elif on_a_terminal():
            self._live(records)
        else:
            for record in records:
                typer.echo(self.line(record))

    def _live(self, records: Iterable[Record]) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console()
        rows: deque[Sequence[str]] = deque()
        n_records = 0
        with Live(self._table(rows, 0), console=console, refresh_per_second=10) as live:
            for record in records:
                n_records += 1
                rows.append(self.cells(record))
                while len(rows) > room(console):
                    rows.popleft()
                live.update(self._table(rows, n_records))

    def _table(self, rows: Iterable[Sequence[str]], n_records: int) -> "Table":
        from rich.table import Table
        from rich.text import Text

        told = f"{n_records:,} so far; Ctrl-C ends it" if n_records else "waiting for the first; Ctrl-C ends it"
        table = Table(title=self.title, caption=told)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="left" if number == 0 else "right", no_wrap=True)
        for row in rows:
            # What producers wrote is no markup.
            table.add_row(*map(Text, row))
        return table


def on_a_terminal() -> bool:
    """Tell whether somebody looks on."""
    return sys.stdout.isatty()


def room(console: "Console") -> int:
    """Return how many rows a terminal has room for."""
    return max(1, console.height - LINES_BESIDE_ROWS)
