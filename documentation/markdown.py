"""Pieces of Markdown that the generated pages share."""

from collections.abc import Iterable, Sequence


def head(title: str, source: str) -> list[str]:
    """Return the first lines of a generated page."""
    return [
        f"# {title}",
        "",
        f"<!-- Generated from {source} by `make docs`; `make check` fails when it drifts. -->",
        "",
    ]


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table; what would end a cell is escaped."""
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    lines += [f"| {' | '.join(_cell(entry) for entry in row)} |" for row in rows]
    return [*lines, ""]


def _cell(entry: object) -> str:
    return " ".join(str(entry).split()).replace("|", "\\|")
