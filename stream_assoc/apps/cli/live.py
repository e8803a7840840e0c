"""Records as they come: a table that grows on a terminal, a line each elsewhere."""

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Record = TypeVar("Record")

BESIDE_CELLS: Final = 3
"""Characters that borders and padding take beside the cells of a column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    heading : `str`
    importance : `int`
        Where there is no room for all, those of least importance are left
        out first, of equal ones the last. 0: never left out.
    """

    heading: str
    importance: int = 0


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the places of the columns that are shown: never a cell cut short, never a column of nothing.

    Parameters
    ----------
    columns : sequence of `Column`
    rows : sequence of sequence of `str`
        Cells, one a column.
    width : `int`
        Characters of a line.
    """
    filled = [
        place
        for place, column in enumerate(columns)
        if column.importance == 0 or not rows or any(row[place] for row in rows)
    ]
    widths = {
        place: BESIDE_CELLS + max(len(text) for text in (columns[place].heading, *(row[place] for row in rows)))
        for place in filled
    }
    shown = set(filled)
    for place in sorted(filled, key=lambda place: (-columns[place].importance, -place)):
        if columns[place].importance == 0 or sum(widths[one] for one in shown) + 1 <= width:
            break
        shown.remove(place)
    return sorted(shown)


LINES_BESIDE_ROWS = 7
"""Lines of a terminal that title, headings, borders and caption take."""


@dataclass(frozen=True, slots=True)
class View(Generic[Record]):
    """How records of one kind are shown.

    Attributes
    ----------
    title : `str`
        Over the table.
    headings : sequence of `Column`
        Of its columns.
    cells : callable
        Returns the cells of a record.
    line : callable
        Returns a record as one line for people.
    columns : callable
        Returns what of a record is written as JSON.
    """

    title: str
    headings: Sequence[Column]
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
        with Live(self.table(rows, 0, console.width), console=console, refresh_per_second=10) as live:
            for record in records:
                n_records += 1
                rows.append(self.cells(record))
                while len(rows) > room(console):
                    rows.popleft()
                live.update(self.table(rows, n_records, console.width))
            live.update(self.table(rows, n_records, console.width, has_ended=True))

    def table(self, rows: Sequence[Sequence[str]], n_records: int, width: int, *, has_ended: bool = False) -> "Table":
        """Return the latest rows as a table that fits into a width, with no cell cut short."""
        from rich.table import Table
        from rich.text import Text

        told = f"{n_records:,} so far" if n_records else "waiting for the first"
        told = f"{n_records:,} in all" if has_ended else f"{told}; Ctrl-C ends it"
        table = Table(title=self.title, caption=told)
        shown = fitting(self.headings, rows, width)
        for place in shown:
            table.add_column(self.headings[place].heading, justify="left" if place == 0 else "right", overflow="fold")
        for row in rows:
            # What producers wrote is no markup.
            table.add_row(*(Text(row[place]) for place in shown))
        return table


def on_a_terminal() -> bool:
    """Tell whether somebody looks on."""
    return sys.stdout.isatty()


def room(console: "Console") -> int:
    """Return how many rows a terminal has room for."""
    return max(1, console.height - LINES_BESIDE_ROWS)
