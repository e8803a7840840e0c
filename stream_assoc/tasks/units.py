"""Units of catalogue columns: what is given in another unit is converted, or refused by name."""

from typing import Final

import astropy.units as u
from astropy.units.function import FunctionUnitBase

from stream_assoc.tasks.exceptions import CatalogError

_COUNTS: Final = frozenset({u.dimensionless_unscaled, u.ct, u.pix})
"""Units of plain numbers, for columns that have none in Rubin's schema."""

_INSTRUMENTAL: Final = (u.ct, u.adu, u.DN, u.electron, u.dimensionless_unscaled)


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
    CatalogError
        If the unit is not known, is of another kind, or is logarithmic.
    """
    if not unit:
        return 1.0
    given, wanted = _parsed(unit, column), u.Unit(target)
    if wanted == u.dimensionless_unscaled and given in _COUNTS:
        return 1.0
    if isinstance(given, FunctionUnitBase) or given.is_equivalent(u.mag):
        raise CatalogError(
            f"column {column!r} is in {unit}, which is logarithmic; give it in {target or 'plain numbers'}"
        )
    try:
        return float(given.to(wanted))
    except u.UnitConversionError:
        raise CatalogError(
            f"column {column!r} is in {unit}, which cannot be converted to {target or 'a plain number'}; "
            "correct the column or its unit"
        ) from None


def is_instrumental(unit: str, column: str) -> bool:
    """Tell whether a flux is in counts of a detector, or says nothing, and so is still to be calibrated."""
    return not unit or any(_parsed(unit, column).is_equivalent(one) for one in _INSTRUMENTAL)


def _parsed(unit: str, column: str) -> u.UnitBase:
    try:
        return u.Unit(unit)
    except ValueError:
        raise CatalogError(
            f"column {column!r} has the unit {unit!r}, which astropy does not know; correct it, or take it away if "
            "the column is in Rubin's unit"
        ) from None
