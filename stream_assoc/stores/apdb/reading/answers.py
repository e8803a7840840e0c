"""What all backends' readers make of questions and answers: bounds that are checked, and rows as tables."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.reading.port import MAX_ROWS, AnswerTooLargeError, NotStoredError

Row: TypeAlias = tuple[Any, ...]

_MAX_ID: Final = 2**63 - 1
_DTYPES: Final = (np.int64, np.float64, np.float64, np.float32, np.float32, np.float64, np.int32)


def checked_limit(limit: int) -> int:
    """Return a limit.

    Raises
    ------
    ValueError
        If it is out of range.
    """
    if not 0 <= limit <= MAX_ROWS:
        raise ValueError(f"a limit of {limit:,} rows is beyond the {MAX_ROWS:,} that are read at once")
    return limit


def check_ids(values: Iterable[object]) -> None:
    """Return if all integers among some values are ids that an APDB can hold.

    Raises
    ------
    NotStoredError
        If one does not fit into 64 bits.
    """
    for value in values:
        if isinstance(value, int) and abs(value) > _MAX_ID:
            raise NotStoredError("the APDB holds nothing under so large an id: ids have 64 bits")


def too_many_objects(limit: int) -> AnswerTooLargeError:
    """Return the error about positions that have more objects around them than a limit."""
    return AnswerTooLargeError(f"more than {limit:,} objects lie around these positions, too many to read at once")


def positions_of(rows: Sequence[Row]) -> ObjectPositions:
    """Return rows of diaObjectId, ra, dec, raErr, decErr, validityStartMjdTai and nDiaSources as arrays."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_DTYPES)
    return ObjectPositions(*(np.array(column, dtype) for column, dtype in zip(columns, _DTYPES, strict=True)))


def schema_of(table: str, columns: Sequence[str]) -> pa.Schema:
    """Return columns of a table of the APDB in Rubin's types."""
    # A column that is never null is the database's promise, and not checked here.
    return pa.schema([apdb_table(table).column(name).arrow_field().with_nullable(True) for name in columns])


def further_schema(names: Sequence[str]) -> pa.Schema:
    """Return the columns of the statistics that DiaObject has no column for; the first is diaObjectId."""
    return pa.schema([(names[0], pa.int64()), *((name, pa.float64()) for name in names[1:])])


def table_of(schema: pa.Schema, chunks: Iterable[Sequence[Row]]) -> pa.Table:
    """Return rows as a table; no chunk is empty."""
    return pa.Table.from_batches([batch_of(schema, rows) for rows in chunks], schema)


def batch_of(schema: pa.Schema, rows: Sequence[Row]) -> pa.RecordBatch:
    """Return some rows, at least one, as a part of a table."""
    columns = zip(zip(*rows, strict=True), schema, strict=True)
    return pa.RecordBatch.from_arrays([_array(values, field.type) for values, field in columns], schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    # SQLite keeps booleans as 0 and 1.
    if pa.types.is_boolean(kind):
        return pa.array([None if value is None else bool(value) for value in values], kind)
    return pa.array(values, kind)
