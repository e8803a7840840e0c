"""Units of catalogue columns: what is given in another unit is converted, or refused by name."""

from typing import Final

import astropy.units as u

from stream_assoc.core.model.units import UnitError, parsed_unit
from stream_assoc.core.model.units import unit_factor as factor_of
from stream_assoc.tasks.exceptions import CatalogError

_INSTRUMENTAL: Final = (u.ct, u.adu, u.DN, u.electron, u.dimensionless_unscaled)


def unit_factor(unit: str, target: str, column: str) -> float:
    """Return what a column's values are to be multiplied by; see `stream_assoc.core.model.units.unit_factor`.

    Raises
    ------
    CatalogError
        If the unit is not known, is of another kind, or is logarithmic.
    """
    try:
        return factor_of(unit, target, column)
    except UnitError as error:
        raise CatalogError(str(error)) from None


def is_instrumental(unit: str, column: str) -> bool:
    """Tell whether a flux is in counts of a detector, or says nothing, and so is still to be calibrated."""
    try:
        return not unit or any(parsed_unit(unit, column).is_equivalent(one) for one in _INSTRUMENTAL)
    except UnitError as error:
        raise CatalogError(str(error)) from None
