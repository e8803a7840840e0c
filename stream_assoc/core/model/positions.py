"""What counts as a position on the sky, and the one way in which its right ascension is written.

Every way in asks here: messages, mapped tables, the facades, ephemerides and
what people type. What is no position is set aside and counted; what is one has
its right ascension in [0, 360) from there on, so that equal directions are
equal numbers wherever they are compared, stored or published.
"""

from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream_assoc.core.model.types import BoolArray, FloatArray

MAX_ABS_RA: Final = 36_000.0
"""A hundred turns, degrees. Whatever is beyond it is no right ascension in degrees, and its digits are too coarse."""


@overload
def is_position(ra: float, dec: float) -> bool: ...


@overload
def is_position(ra: FloatArray, dec: FloatArray) -> BoolArray: ...


def is_position(ra: Any, dec: Any) -> Any:
    """Tell whether these are a position: dec within [-90, 90] degrees, ra at most a hundred turns.

    It takes numbers or arrays, and is compiled as it stands for kernels.
    """
    return (abs(dec) <= 90.0) & (abs(ra) <= MAX_ABS_RA)


def has_position(ra: FloatArray, dec: FloatArray) -> BoolArray:
    """Tell which rows are positions; see `is_position`. NaN and infinity are none.

    Parameters
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees.
    """
    return np.asarray(is_position(ra, dec), dtype=np.bool_)


def wrapped_ra(ra: npt.ArrayLike) -> FloatArray:
    """Return right ascensions in [0, 360), degrees.

    Parameters
    ----------
    ra : array-like [float64]
        Degrees. What is beyond `MAX_ABS_RA` is left as it is: no position.

    Returns
    -------
    ra : `numpy.ndarray` [float64]
        Bit for bit as given where that is in [0, 360) already; never -0.0.

    Notes
    -----
    The remainder is exact in floating point. Only adding a turn to a negative
    one rounds, and that of a tiny one rounds up to 360 itself, which is 0.
    """
    values = np.asarray(ra, dtype=np.float64)
    if not np.any((values < 0.0) | (values >= 360.0) | ((values == 0.0) & np.signbit(values))):
        return values
    known = np.abs(values) <= MAX_ABS_RA
    remainder = np.fmod(np.where(known, values, 0.0), 360.0)
    turned = np.where(remainder < 0.0, remainder + 360.0, remainder)
    # The sum makes 0.0 of -0.0.
    return np.where(known, np.where(turned >= 360.0, 0.0, turned) + 0.0, values)


def with_wrapped_ra(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose column ``ra``, where they have one, is in [0, 360); see `wrapped_ra`. Nulls stay."""
    index = rows.schema.get_field_index("ra")
    if index < 0:
        return rows
    column = rows.column(index)
    ra = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    wrapped = wrapped_ra(ra)
    if wrapped is ra:
        return rows
    values = pa.array(wrapped, mask=np.asarray(column.is_null())).cast(column.type)
    return rows.set_column(index, rows.schema.field(index), values)
