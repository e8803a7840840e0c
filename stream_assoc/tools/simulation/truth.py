"""What each simulated detection really is."""

from typing import Final

import pyarrow as pa

KINDS: Final = ("variable", "transient", "asteroid", "artifact")

STATIC_KINDS: Final = ("variable", "transient")
"""The kinds whose detections belong in one DIAObject."""

TRUTH_SCHEMA: Final = pa.schema(
    [
        pa.field("diaSourceId", pa.int64(), nullable=False),
        # The source of light; an artifact is one of its own and has its diaSourceId.
        pa.field("truth_id", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        # 0 unless the detection is an asteroid whose position was predicted.
        pa.field("ssObjectId", pa.int64(), nullable=False),
        # Where the light came from at that time, degrees.
        pa.field("ra", pa.float64(), nullable=False),
        pa.field("dec", pa.float64(), nullable=False),
    ]
)
"""Columns of a truth table: one row a detection."""
