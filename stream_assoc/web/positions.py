"""Positions as people write them.

Two numbers are degrees; six are hours, minutes, seconds and degrees, minutes,
seconds. Units or colons may stand between them: ``10h02m01.2s -2d13m4s``,
``10:02:01.2 -2:13:04``. A unit at the first coordinate decides between hours
and degrees.
"""

import re
from typing import Final

from stream_assoc.web.exceptions import QueryError

_HELP: Final = "write an id, or a position such as 150.116 2.206, 10:00:28 +02:12:21 or 10h00m28s +2d12m21s"
_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_DEGREES: Final = re.compile(rf"({_NUMBER})(?:deg|d|°)?(?:\s*,\s*|\s+)({_NUMBER})(?:deg|d|°)?")
_PARTS: Final = r"(\d+)\s*[:hd°\s]\s*(\d+)\s*[:m'\u2032\s]\s*(\d+\.?\d*|\.\d+)\s*(?:s|\"|\u2033|'')?"
_SEXAGESIMAL: Final = re.compile(rf"(?P<first>\+?{_PARTS})(?:\s*,\s*|\s+|(?=[+-]))(?P<second>[+-]?{_PARTS})")


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
    text = text.strip().replace("\u2212", "-")
    if match := _DEGREES.fullmatch(text):
        ra, dec = float(match[1]), float(match[2])
    elif match := _SEXAGESIMAL.fullmatch(text):
        # Degrees only where a unit says so: astronomers write right ascension in hours.
        hours = 1.0 if re.search(r"[d°]", match["first"]) else 15.0
        ra = hours * _sexagesimal(match["first"], *match.group(2, 3, 4))
        dec = _sexagesimal(match["second"], *match.group(6, 7, 8))
    else:
        raise QueryError(f"{text[:60]!r} is neither an id nor a position; {_HELP}")
    if not (-360.0 <= ra <= 360.0 and -90.0 <= dec <= 90.0):
        raise QueryError(f"right ascension {ra:g}, declination {dec:g} is not on the sky")
    wrapped = ra % 360.0
    # The remainder of a tiny negative angle rounds up to 360 itself.
    return (0.0 if wrapped == 360.0 else wrapped), dec


def _sexagesimal(text: str, whole: str, minutes: str, seconds: str) -> float:
    if int(minutes) >= 60 or float(seconds) >= 60.0:
        raise QueryError(f"minutes and seconds of {text.strip()!r} must be below 60; {_HELP}")
    value = int(whole) + int(minutes) / 60.0 + float(seconds) / 3600.0
    return -value if text.startswith("-") else value
