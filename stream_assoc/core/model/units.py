"""Units: what a column in another unit is multiplied by, or why it cannot be.

Importing it takes half a second, for it imports astropy's units; a command that meets no unit does not.
"""

from typing import Final

import astropy.units as u
from astropy.units.function import FunctionUnitBase

_COUNTS: Final = frozenset({u.dimensionless_unscaled, u.ct, u.pix})
"""Units of plain numbers, for columns that have none in Rubin's schema."""


class UnitError(ValueError):
    """A column is in a unit that is not known, or that cannot be converted."""


def unit_factor(unit: str, target: str, column: str) -> float:
    """Return what a column's values are to be multiplied by.

    Parameters
    ----------
    unit : `str`
        The unit the column says it is in; empty: it says nothing, and is
        taken to be in Rubin's.
    target : `str`
        The unit that is wanted; empty: a plain number.
    column : `str`
        Name of the column, for messages.

    Raises
    ------
    UnitError
        If the unit is not known, is of another kind, or is logarithmic.
    """
    if not unit or unit == target:
        return 1.0
    given, wanted = parsed_unit(unit, column), u.Unit(target)
    if wanted == u.dimensionless_unscaled and given in _COUNTS:
        return 1.0
    if isinstance(given, FunctionUnitBase) or given.is_equivalent(u.mag):
        raise UnitError(
            f"column {column!r} is in {unit}, which is logarithmic; give it in {target or 'plain numbers'}"
        )
    try:
        return float(given.to(wanted))
    except u.UnitConversionError:
        raise UnitError(
            f"column {column!r} is in {unit}, which cannot be converted to {target or 'a plain number'}; "
            "correct the column or its unit"
        ) from None


def parsed_unit(unit: str, column: str) -> u.UnitBase:
    """Return a unit, or raise `UnitError` if astropy does not know it."""
    try:
        return u.Unit(unit)
    except ValueError:
        raise UnitError(
            f"column {column!r} has the unit {unit!r}, which astropy does not know; correct it, or take it away if "
            "the column is in Rubin's unit"
        ) from None
