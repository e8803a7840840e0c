"""The columns that a producer of DIASources fills."""

import functools

import pyarrow as pa

from stream_assoc.model.batch import measured_columns
from stream_assoc.model.schema import apdb_table


@functools.cache
def measured_schema() -> pa.Schema:
    """Return the Arrow schema of a batch's sources: the measured columns in Rubin's types."""
    table = apdb_table("DiaSource")
    return pa.schema([table.column(name).arrow_field() for name in measured_columns()])
