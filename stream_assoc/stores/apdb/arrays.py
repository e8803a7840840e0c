"""Rows of a database as arrays."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

_DTYPES: Final = {"i": np.int64, "n": np.int32, "d": np.float64, "f": np.float32, "b": np.bool_}


def arrays_of(rows: Sequence[Sequence[Any]], kinds: str) -> list[np.ndarray[Any, Any]]:
    """Return rows as arrays, one a letter of ``kinds``; NULL becomes NaN."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in kinds]
    return [np.array(column, dtype=_DTYPES[kind]) for column, kind in zip(columns, kinds, strict=True)]
