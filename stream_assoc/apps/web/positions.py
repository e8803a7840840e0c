"""Positions as people write them.

Two numbers are degrees; six are hours, minutes, seconds and degrees, minutes,
seconds. Units or colons may stand between them: ``10h02m01.2s -2d13m4s``,
``10:02:01.2 -2:13:04``. A unit at the first coordinate decides between hours
and degrees.

A text is cut into numbers and what stands between them, once from left to
right, so that reading takes time in proportion to its length.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.apps.web.exceptions import QueryError
from stream_assoc.core.model.positions import is_position, wrapped_ra

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


def parse_position(text: str) -> tuple[float, float]:
    """Return a position in degrees.

    Parameters
    ----------
    text : `str`
        See the module's description.

    Returns
    -------
    ra, dec : `float`
        ``0 <= ra < 360``, ``-90 <= dec <= 90``.

    Raises
    ------
    QueryError
        If it is no position; the message says how to write one.
    """
    pieces = _pieces(text)
    coordinates = None if pieces is None else _coordinates(pieces)
    if coordinates is None:
        raise QueryError(f"{text[:60]!r} is neither an id nor a position; {_HELP}")
    ra, dec = coordinates
    # Data may come in any turn; who types one that is beyond a full turn has mistyped it.
    if not (is_position(ra, dec) and abs(ra) <= 360.0):
        raise QueryError(f"right ascension {ra:g}, declination {dec:g} is not on the sky")
    return float(wrapped_ra(ra)), dec


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The numbers of a text, and what follows each of them."""

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
