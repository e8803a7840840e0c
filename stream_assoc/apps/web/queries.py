"""What people ask for: identifiers, visits, numbers and positions, as an address or the search box holds them.

Of a position, two numbers are degrees; six are hours, minutes, seconds and
degrees, minutes, seconds. Units or colons may stand between them:
``10h02m01.2s -2d13m4s``, ``10:02:01.2 -2:13:04``. A unit at the first
coordinate decides between hours and degrees. A position is cut into numbers
and the text between them, once from left to right, so that reading takes time
in proportion to its length.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.core.model.positions import is_position, wrapped_ra
from stream_assoc.exceptions import StreamAssocError

MAX_CHARACTERS: Final = 100
"""Longer than any position one would write."""

_HELP: Final = (
    "write an id, a visit and its detector, or a position such as 150.116 2.206, 10:00:28 +02:12:21 or "
    "10h00m28s +2d12m21s"
)
_NUMBER: Final = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_NEGATIVE: Final = str.maketrans({"\u2212": "-"})
_DEGREE_UNITS: Final = ("deg", "d", "°", "")
_AFTER_WHOLE: Final = ("h", "d", "°", ":", "")
_AFTER_MINUTES: Final = ("m", "'", "\u2032", ":", "")
_SECOND_UNITS: Final = ("''", "s", '"', "\u2033", "")
_DEGREES_SIZE: Final = 2
_SEXAGESIMAL_SIZE: Final = 6
_MAX_ID: Final = 2**63 - 1
_ID_CHARACTERS: Final = 20
"""Of an id of 64 bits, with its sign."""
_SHOWN: Final = 40
_WHOLE_CIRCLE_DEG: Final = 360


class QueryError(StreamAssocError):
    """A question that cannot be understood; the message says how to ask it."""


def is_integer(text: str) -> bool:
    """Tell whether a text is an integer in decimal digits, however large."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal()


def parse_id(text: str, name: str = "id") -> int:
    """Return an identifier, a signed integer of 64 bits.

    Raises
    ------
    QueryError
        If the text is not an integer, or the integer is larger.
    """
    if not is_integer(text):
        raise QueryError(f"{name} {text[:_SHOWN]!r} is not an integer")
    if len(text) > _ID_CHARACTERS or abs(int(text)) > _MAX_ID:
        raise QueryError(f"{name} {text[:_SHOWN]} is not an id: ids have 64 bits")
    return int(text)


def parse_visit(text: str) -> tuple[int, int | None] | None:
    """Return the visit and the detector that a text names; `None` for any other text, such as a position.

    ``visit 2025112000001``, ``2025112000001 4``, ``2025112000001/4``,
    ``visit 2025112000001, detector 4``. Two small numbers are a position.

    Raises
    ------
    QueryError
        If an id is larger than 64 bits.
    """
    words = text[:MAX_CHARACTERS].lower().replace(",", " ").replace("/", " ").split()
    is_named = "visit" in words
    numbers = [word for word in words if word not in {"visit", "detector"}]
    if len(text) > MAX_CHARACTERS or not 1 <= len(numbers) <= 2 or not all(map(is_integer, numbers)):
        return None
    visit, *detector = (parse_id(number, name) for number, name in zip(numbers, ("visit", "detector"), strict=False))
    if not is_named and (not detector or visit <= _WHOLE_CIRCLE_DEG):
        return None
    return visit, detector[0] if detector else None


def parse_number(text: str, name: str) -> float:
    """Return a number; NaN and infinity are accepted.

    Raises
    ------
    QueryError
        If the text is not a number.
    """
    try:
        return float(text)
    except ValueError:
        raise QueryError(f"{name} {text[:_SHOWN]!r} is not a number") from None


def parse_position(text: str) -> tuple[float, float]:
    """Return a position in degrees.

    Parameters
    ----------
    text : `str`
        As the module's description says.

    Returns
    -------
    ra, dec : `float`
        ``0 <= ra < 360``, ``-90 <= dec <= 90``.

    Raises
    ------
    QueryError
        If it is not a position; the message says how to write one.
    """
    pieces = _pieces(text)
    coordinates = None if pieces is None else _coordinates(pieces)
    if coordinates is None:
        raise QueryError(f"{text[:60]!r} is neither an id nor a position; {_HELP}")
    ra, dec = coordinates
    # Stored data may be off by whole turns; a person who types more than one turn has mistyped.
    if not (is_position(ra, dec) and abs(ra) <= 360.0):
        raise QueryError(f"right ascension {ra:g}, declination {dec:g} is not on the sky")
    return float(wrapped_ra(ra)), dec


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The numbers of a text, and the text after each of them."""

    numbers: Sequence[str]
    gaps: Sequence[str]


def _pieces(text: str) -> _Pieces | None:
    if len(text) > MAX_CHARACTERS:
        return None
    before, *rest = _NUMBER.split(text.strip().translate(_NEGATIVE))
    return None if before else _Pieces(rest[::2], rest[1::2])


def _coordinates(pieces: _Pieces) -> tuple[float, float] | None:
    numbers, gaps = pieces.numbers, pieces.gaps
    if len(numbers) == _DEGREES_SIZE:
        if _separates(gaps[0], _DEGREE_UNITS) and gaps[1] in _DEGREE_UNITS:
            return float(numbers[0]), float(numbers[1])
        return None
    if len(numbers) != _SEXAGESIMAL_SIZE or not (
        _separates(gaps[2], _SECOND_UNITS, before_sign=numbers[3][0] in "+-")
        and gaps[5].strip() in _SECOND_UNITS
        and all(gaps[k] and gaps[k].strip() in _AFTER_WHOLE for k in (0, 3))
        and all(gaps[k] and gaps[k].strip() in _AFTER_MINUTES for k in (1, 4))
        and not numbers[0].startswith("-")
    ):
        return None
    ra, dec = _sexagesimal(numbers[:3]), _sexagesimal(numbers[3:])
    if ra is None or dec is None:
        return None
    # Degrees only where a unit says so: astronomers write right ascension in hours.
    return (ra if gaps[0].strip() in {"d", "°"} else 15.0 * ra), dec


def _separates(gap: str, units: Sequence[str], *, before_sign: bool = False) -> bool:
    """Tell whether a gap ends one coordinate: a unit or none, then a comma, blanks, or the next number's sign."""
    rest = gap.lstrip()
    unit = next(unit for unit in units if rest.startswith(unit))
    if unit:
        gap = rest[len(unit) :]
    return gap.strip() == "," or (not gap.strip() and (bool(gap) or before_sign))


def _sexagesimal(numbers: Sequence[str]) -> float | None:
    whole, minutes, seconds = numbers
    digits = whole.lstrip("+-")
    if not (digits.isdecimal() and minutes.isdecimal() and seconds.replace(".", "", 1).isdecimal()):
        return None
    if float(minutes) >= 60.0 or float(seconds) >= 60.0:
        raise QueryError(f"minutes and seconds of {':'.join(numbers)!r} must be below 60; {_HELP}")
    value = float(digits) + float(minutes) / 60.0 + float(seconds) / 3600.0
    return -value if whole.startswith("-") else value
