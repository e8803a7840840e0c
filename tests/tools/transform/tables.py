"""Small tables of detections, and a mapping that fits them."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from stream_assoc.tools.transform.mapping import Mapping, load_mapping

MINIMAL = """
name = "small"
same_names = true
[batch]
visit = "visit"
detector = "detector"
band = "band"
midpointMjdTai = "mjd"
exposureTime = "exposureTime"
[footprint]
margin_arcsec = 10.0
"""
BIG = 2**60


def detections(n_rows: int = 1, /, **changes: Any) -> pa.Table:
    """A table of one visit and detector; a change is a column, or `None` for a column that is not there."""
    columns: dict[str, Any] = {
        "diaSourceId": [BIG + 1 + row for row in range(n_rows)],
        "visit": [7] * n_rows,
        "detector": [3] * n_rows,
        "band": ["r"] * n_rows,
        "mjd": [60_000.5] * n_rows,
        "exposureTime": [30.0] * n_rows,
        "ra": [10.0 + 1e-3 * row for row in range(n_rows)],
        "dec": [-5.0] * n_rows,
        "x": [100.0 + row for row in range(n_rows)],
        "y": [200.0] * n_rows,
        "ssObjectId": pa.nulls(n_rows, pa.int64()),
        "psfFlux": [1_000.0] * n_rows,
        "psfFluxErr": [10.0] * n_rows,
    }
    return pa.table({name: values for name, values in (columns | changes).items() if values is not None})


def small_mapping(folder: Path, *changes: tuple[str, str]) -> Mapping:
    """Read the mapping of `detections`, with parts of its text replaced."""
    text = MINIMAL
    for old, new in changes:
        text = text.replace(old, new)
    file = folder / "small.toml"
    file.write_text(text)
    return load_mapping(file)
