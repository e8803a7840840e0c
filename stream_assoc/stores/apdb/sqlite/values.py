"""Arrow columns and arrays as values of SQLite, and back."""

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.types import FloatArray, IntArray


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Return Python values that SQLite stores as dax_apdb does: NaN as NULL, booleans as 0 and 1."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [None if value is None or math.isnan(value) else value for value in values]
    if pa.types.is_boolean(column.type):
        return [None if value is None else int(value) for value in values]
    return values


def spans_of(ids: IntArray, *bounds: FloatArray) -> str:
    """Return rows of an id and bounds as a JSON array of arrays; JSON knows no infinity."""
    finite = (np.clip(bound, -1e308, 1e308).tolist() for bound in bounds)
    return json.dumps(list(zip(ids.tolist(), *finite, strict=True)))


def json_of(values: IntArray) -> str:
    """Return integers as the JSON array that ``json_each`` takes."""
    return json.dumps(values.tolist())
