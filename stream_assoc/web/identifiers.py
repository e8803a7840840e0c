"""Identifiers and numbers as an address holds them."""

from typing import Final

from stream_assoc.web.exceptions import QueryError

_MAX_ID: Final = 2**63 - 1
_MAX_CHARACTERS: Final = 20
"""Of an id of 64 bits, with its sign."""
_SHOWN: Final = 40


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
    if len(text) > _MAX_CHARACTERS or abs(int(text)) > _MAX_ID:
        raise QueryError(f"{name} {text[:_SHOWN]} is no id: ids have 64 bits")
    return int(text)


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
