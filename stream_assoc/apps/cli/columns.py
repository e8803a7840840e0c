"""Columns of a table, and which of them fit on a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

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
