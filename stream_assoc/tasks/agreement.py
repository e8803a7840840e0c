"""Whether a catalogue is of the exposure it is given with."""

from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import VISIT_COLUMNS
from stream_assoc.core.model.types import BoolArray
from stream_assoc.tasks.exceptions import CatalogError
from stream_assoc.tasks.exposure import Exposure
from stream_assoc.tasks.frames import band_names
from stream_assoc.tasks.tables import Catalog, arrow_table, floats

_MIDPOINT_TOLERANCE_DAYS: Final = 1e-6
"""A tenth of a second: what rounding leaves of a time, and far less than two visits are apart."""
_EXPOSURE_TOLERANCE: Final = 1e-5
"""Relative; the APDB keeps exposure times in float32."""


def check_agreement(catalog: Catalog, exposure: Exposure) -> None:
    """Check that whatever a catalogue says of its visit is what the exposure says.

    Parameters
    ----------
    catalog : `Catalog`
        May have columns ``visit``, ``detector``, ``band``, ``midpointMjdTai``
        and ``exposureTime``. Rows that are null in one agree with anything.
    exposure : `Exposure`

    Raises
    ------
    CatalogError
        If a row says otherwise.
    """
    table = arrow_table(catalog, VISIT_COLUMNS)
    for name in table.column_names:
        told = getattr(exposure, name)
        if told is None:
            continue
        other = np.flatnonzero(_disagrees(table, name, told))
        if len(other):
            raise CatalogError(
                f"visit {exposure.visit} detector {exposure.detector}: {len(other)} of {table.num_rows} rows have "
                f"{name} {table.column(name)[int(other[0])].as_py()!r} where the exposure has {told!r}; give each "
                "exposure its own rows, or leave the column out"
            )


def _disagrees(table: pa.Table, name: str, told: float | str) -> BoolArray:
    column = table.column(name)
    present = ~np.asarray(column.is_null(nan_is_null=True).to_numpy(), np.bool_)
    match name:
        case "band":
            differs = np.array([one != told for one in band_names(column.to_pylist())], np.bool_)
        case "midpointMjdTai":
            differs = np.abs(floats(table, name, "d") - float(told)) > _MIDPOINT_TOLERANCE_DAYS
        case "exposureTime":
            differs = np.abs(floats(table, name, "s") - float(told)) > _EXPOSURE_TOLERANCE * float(told)
        case _:
            differs = np.array([one != told for one in column.to_pylist()], np.bool_)
    return differs & present
