"""Identifiers and numbers as an address holds them."""

from typing import Final

from stream_assoc.apps.web.exceptions import QueryError

_MAX_ID: Final = 2**63 - 1
_ID_CHARACTERS: Final = 20
"""Of an id of 64 bits, with its sign."""
_SHOWN: Final = 40
_MAX_CHARACTERS: Final = 100
_WHOLE_CIRCLE_DEG: Final = 360


def is_integer(text: str) -> bool:
    """Tell whether a text is an integer in decimal digits, however large."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal()


def parse_id(text: str, name: str = "id") -> int:
    """Return an identifier: a signed integer of 64 bits.

    Raises
    ------
    QueryError
        If it is another text, or larger.
    """
    if not is_integer(text):
        raise QueryError(f"{name} {text[:_SHOWN]!r} is not an integer")
    if len(text) > _ID_CHARACTERS or abs(int(text)) > _MAX_ID:
        raise QueryError(f"{name} {text[:_SHOWN]} is no id: ids have 64 bits")
    return int(text)


def parse_visit(text: str) -> tuple[int, int | None] | None:
    """Return the visit and the detector that a text names; `None` if it names none, such as a position.

    ``visit 2025112000001``, ``2025112000001 4``, ``2025112000001/4``,
    ``visit 2025112000001, detector 4``. Two small numbers are a position.

    Raises
    ------
    QueryError
        If an id is larger than 64 bits.
    """
    words = text[:_MAX_CHARACTERS].lower().replace(",", " ").replace("/", " ").split()
    is_named = "visit" in words
    numbers = [word for word in words if word not in {"visit", "detector"}]
    if len(text) > _MAX_CHARACTERS or not 1 <= len(numbers) <= 2 or not all(map(is_integer, numbers)):
        return None
    visit, *detector = (parse_id(number, name) for number, name in zip(numbers, ("visit", "detector"), strict=False))
    if not is_named and (not detector or visit <= _WHOLE_CIRCLE_DEG):
        return None
    return visit, detector[0] if detector else None


def parse_number(text: str, name: str) -> float:
    """Return a number; not a number and infinity are numbers too.

    Raises
    ------
    QueryError
        If it is another text.
    """
    try:
        return float(text)
    except ValueError:
        raise QueryError(f"{name} {text[:_SHOWN]!r} is not a number") from None
