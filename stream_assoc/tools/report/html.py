"""Pieces of the page. Every text is escaped here, where it becomes HTML."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple


class Tile(NamedTuple):
    """A number that stands for itself: its name, its value and a remark."""

    name: str
    value: str
    remark: str = ""


class Column(NamedTuple):
    """The heading of a column, and whether it holds text rather than numbers."""

    heading: str
    is_text: bool = False


def tiles(entries: Iterable[Tile]) -> str:
    """Return numbers side by side."""
    boxes = (
        f"<div><dt>{escape(one.name)}</dt><dd>{escape(one.value)}"
        + (f"<small>{escape(one.remark)}</small>" if one.remark else "")
        + "</dd></div>"
        for one in entries
    )
    return f'<dl class="tiles">{"".join(boxes)}</dl>'


def section(title: str, *parts: str) -> str:
    """Return a part of the page under a heading."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def subtitle(text: str) -> str:
    """Return the heading of a table."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(title: str, svg: str, caption: str, *, is_wide: bool = False) -> str:
    """Return a figure; its SVG comes from this room and is taken as it is."""
    label = escape(f"{title}. {caption}")
    return (
        f"<figure{' class=wide' if is_wide else ''}><h3>{escape(title)}</h3>"
        f'<div class="drawing" role="img" tabindex="0" aria-label="{label}">{svg}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def figures(parts: Iterable[str]) -> str:
    """Return figures side by side."""
    return f'<div class="figures">{"".join(parts)}</div>'


def look(sentences: Sequence[str], well: str) -> str:
    """Return what deserves a look, or that nothing does."""
    if not sentences:
        return f'<div class="look well">{escape(well)}</div>'
    return f'<div class="look"><ul>{"".join(f"<li>{escape(one)}</li>" for one in sentences)}</ul></div>'


def table(label: str, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that scrolls sideways, by keyboard too; the label is what it is called there."""
    classes = [' class="text"' if column.is_text else "" for column in columns]
    head = "".join(f"<th{kind}>{escape(column.heading)}</th>" for column, kind in zip(columns, classes, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{escape(cell)}</td>' for cell, kind in zip(row, classes, strict=True))}</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def document(title: str, style: str, body: str) -> str:
    """Return a page that needs nothing from anywhere."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Nothing is fetched and nothing runs, whatever a producer may have written.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )
