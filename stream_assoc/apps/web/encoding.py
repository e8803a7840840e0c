"""JSON that a browser reads without loss.

JavaScript's numbers are doubles, so every identifier becomes a string: every
int64 of the APDB or the metrics, even where the value would fit.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa

from stream_assoc.core.model.metrics import AssociationMetrics

_WIDE_NAMES = frozenset({"visit", "inputOffset", "offset"})


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of an APDB table as mappings: int64 as text, NaN as `None`."""
    schema = pa.schema(
        [field.with_type(pa.string()) if field.type == pa.int64() else field for field in table.schema]
    )
    rows: list[dict[str, Any]] = table.cast(schema).to_pylist()
    return [plain(row) for row in rows]


def metrics_of(metrics: AssociationMetrics) -> dict[str, Any]:
    """Return the metrics of a batch under Rubin's names."""
    return plain({field.name: getattr(metrics, field.name) for field in fields(metrics)})


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON types: identifiers as text, NaN and infinities as `None`.

    An integer is an identifier if its name ends in ``Id``, or is ``visit`` or
    an offset; so are the integers of a list under such a name.
    """
    return {name: _plain(value, wide=_is_wide(name)) for name, value in values.items()}


def _plain(value: object, *, wide: bool) -> object:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain(item, wide=wide) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if wide and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _is_wide(name: str) -> bool:
    return name.endswith("Id") or name in _WIDE_NAMES


def to_json(value: object) -> str:
    """Return the JSON text of a value that `plain` returned, on one line."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
