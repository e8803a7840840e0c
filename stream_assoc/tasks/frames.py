"""Reading data frames: numbers without losing a bit of an identifier, and bands however a table writes them."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_complex_dtype, is_integer_dtype, is_object_dtype

from stream_assoc.core.model.types import BANDS, FloatArray, IntArray
from stream_assoc.tasks.exceptions import CatalogError, MissingColumnError

_INT64: Final = np.iinfo(np.int64)


def has_column(frame: pd.DataFrame, name: str) -> bool:
    """Tell whether a frame has a column or an index level of that name."""
    return name in frame.columns or name in frame.index.names


def column_or_level(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column, or the index level of that name.

    Raises
    ------
    MissingColumnError
        If there is neither.
    CatalogError
        If there are several.
    """
    if name in frame.columns:
        if (times := frame.columns.tolist().count(name)) > 1:
            raise CatalogError(f"the catalogue has column {name!r} {times} times; keep one of them")
        return frame[name]
    if name in frame.index.names:
        return frame.index.get_level_values(name).to_series(index=frame.index)
    raise MissingColumnError(
        f"the catalogue has no column {name!r}; it has {', '.join(map(str, frame.columns)) or 'none'}"
    )


def identifiers(frame: pd.DataFrame, name: str) -> IntArray:
    """Return a column of identifiers, bit for bit.

    Parameters
    ----------
    frame : `pandas.DataFrame`
    name : `str`
        A column or index level of integers: ``int64``, ``Int64`` or Python's own.

    Returns
    -------
    ids : `numpy.ndarray` [int64], shape (n,)

    Raises
    ------
    MissingColumnError
        If there is no such column.
    CatalogError
        If it holds missing values, floats, which cannot hold an identifier
        above 2**53, or integers beyond int64.
    """
    column = column_or_level(frame, name)
    if not len(column):
        return np.empty(0, np.int64)
    if not (is_integer_dtype(column.dtype) or is_object_dtype(column.dtype)):
        raise CatalogError(f"{name} is {column.dtype}, which cannot hold every identifier; give it as int64 or Int64")
    if column.isna().any():
        raise CatalogError(f"{name} is missing in {int(column.isna().sum())} rows")
    if is_object_dtype(column.dtype) and not all(map(_is_integer, column)):
        raise CatalogError(f"{name} holds objects that are not integers; give it as int64 or Int64")
    least, greatest = column.min(), column.max()
    if least < _INT64.min or greatest > _INT64.max:
        raise CatalogError(
            f"{name} has values from {least} to {greatest}; identifiers are from 1 to {_INT64.max}, what int64 holds"
        )
    return column.to_numpy(np.int64)


def floats(frame: pd.DataFrame, name: str) -> FloatArray:
    """Return a measured column in float64, NaN where missing.

    Raises
    ------
    MissingColumnError
        If there is no such column.
    CatalogError
        If it holds what is no number: dates, truth values and complex numbers are none.
    """
    column = column_or_level(frame, name)
    if is_bool_dtype(column.dtype) or is_complex_dtype(column.dtype) or column.dtype.kind in "mM":
        raise CatalogError(f"{name} is {column.dtype}; it must be a column of real numbers")
    try:
        return column.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise CatalogError(f"{name} holds values that are not numbers: {error}") from error


def with_plain_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame numbered from 0, index levels that are no column yet having become one."""
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=levels).reset_index(drop=True) if levels else frame.reset_index(drop=True)


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def band_name(value: object) -> object:
    """Return a band's name as text; FITS tables give bytes, and fill them up with spaces. What is no text stays."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip(" \0") if isinstance(value, str) else value


def band_names(values: Iterable[object]) -> list[object]:
    """Return the names of many bands, as `band_name`."""
    # Of a hundred thousand rows six values are different.
    codes, distinct = pd.factorize(np.array(list(values), dtype=object), use_na_sentinel=False)
    names = [band_name(one) for one in distinct]
    return [names[code] for code in codes]


def band_indices(values: Iterable[object]) -> IntArray:
    """Return the place in `~stream_assoc.core.model.types.BANDS` of each band, -1 where it is none of them."""
    return np.asarray(pd.Index(BANDS).get_indexer(pd.Index(band_names(values), dtype=object)), np.int64)
