"""What a copy of an APDB reads, and how it tells what it does.

A copy goes from a database of one kind to one of another: the backend that is
copied from satisfies `CopySource`, the backend that is copied to does the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import pyarrow as pa

from stream_assoc.core.model import further_statistics
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.reading.answers import further_schema, schema_of

if TYPE_CHECKING:
    from stream_assoc.stores.apdb.backend import ApdbReport

Key: TypeAlias = tuple[int | str, ...]
"""Values of the columns that a table is divided by."""

CHUNK: Final = "apdb_replica_chunk"
"""Beside the columns of a table of dax_apdb: the chunk in which the row is noted for replicas, or NULL."""


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table that is copied, in stretches.

    Attributes
    ----------
    name : `str`
    key : `tuple` [`str`, ...]
        What its rows are ordered and divided by: rows with the same values are in one stretch.
    schema : `pyarrow.Schema`
        What is read of each row.
    row_key : `tuple` [`str`, ...]
        Its primary key, where rows are noted for replicas by it; else empty.
    rows_at_once : `int`
        Rows of a stretch, but for those of its last key.
    """

    name: str
    key: tuple[str, ...]
    schema: pa.Schema
    row_key: tuple[str, ...] = ()
    rows_at_once: int = 2_000


@dataclass(frozen=True, slots=True)
class CopyStep:
    """A part of a copy that is done.

    Attributes
    ----------
    what : `str`
        What is done, such as ``DiaSource: rows copied``.
    n_rows : `int`
        How many rows of it so far.
    total : `int` or `None`
        About how many there are, where that is known.
    compares : `bool`
        Whether rows are compared, not copied.
    """

    what: str
    n_rows: int
    total: int | None = None
    compares: bool = False


class CopySource(Protocol):
    """One moment of an APDB that is copied."""

    @property
    def report(self) -> "ApdbReport":
        """What the database is."""

    def fingerprint(self) -> str:
        """Return what changes with whatever is stored, published or withdrawn, by anybody."""

    def tables(self) -> Sequence[CopiedTable]:
        """Return the tables that are copied, in their order."""

    def estimated_rows(self) -> Mapping[str, int]:
        """Return about how many rows some of the tables have."""

    def stretches(self, table: CopiedTable, after: Key | None = None) -> Iterator[pa.Table]:
        """Yield the rows after a key, all if it is `None`, ascending and some thousand at a time; never none."""

    def renewed(self, times: Sequence[float]) -> Mapping[float, IntArray]:
        """Return the objects that have a version which begins at one of these times, ascending."""

    def single_source_objects(self) -> int:
        """Return the number of objects with exactly one source, as batches have counted."""


class OpenSource(Protocol):
    """Opens a source: as it is now, whenever it is called."""

    def __call__(self) -> AbstractContextManager[CopySource]:
        """Hold on to the moment of now."""


def _rubins(name: str, key: tuple[str, ...], row_key: tuple[str, ...] = ()) -> CopiedTable:
    schema = schema_of(name, apdb_table(name).names)
    return CopiedTable(name, key, schema.append(pa.field(CHUNK, pa.int64())) if row_key else schema, row_key)


def further_table(names: Sequence[str]) -> CopiedTable:
    """Return the table of further statistics, given its columns; the first is diaObjectId."""
    return CopiedTable(further_statistics.TABLE, ("diaObjectId",), further_schema(names))


_BATCH: Final = (("visit", pa.int64()), ("detector", pa.int32()), ("revision", pa.int32()))

OBJECTS: Final = _rubins("DiaObject", ("diaObjectId",), ("diaObjectId", "validityStartMjdTai"))
LAST: Final = _rubins("DiaObjectLast", ("diaObjectId",))
SOURCES: Final = _rubins("DiaSource", ("visit", "detector"), ("diaSourceId",))
FORCED_SOURCES: Final = _rubins("DiaForcedSource", ("visit", "detector"), ("diaObjectId", "visit", "detector"))
CHECKPOINTS: Final = CopiedTable(
    "StreamAssocCheckpoint",
    ("diaObjectId",),
    pa.schema(
        [
            ("diaObjectId", pa.int64()),
            ("validityStartMjdTai", pa.float64()),
            ("layout", pa.int64()),
            ("state", pa.binary()),
        ]
    ),
    rows_at_once=500,
)
LEDGER: Final = CopiedTable(
    "StreamAssocLedger",
    ("visit", "detector"),
    pa.schema(
        [
            *_BATCH,
            ("digest", pa.binary()),
            ("timeProcessedMjdTai", pa.float64()),
            ("n_sources", pa.int32()),
            ("n_stored", pa.int32()),
            ("input_topic", pa.string()),
            ("input_partition", pa.int32()),
            ("input_offset", pa.int64()),
            ("difference_image_uri", pa.string()),
            ("science_image_uri", pa.string()),
            ("template_image_uri", pa.string()),
            ("observation_reason", pa.string()),
            ("target_name", pa.string()),
        ]
    ),
)
OUTBOX: Final = CopiedTable(
    "StreamAssocOutbox",
    ("sequence",),
    pa.schema(
        [
            ("sequence", pa.int64()),
            *_BATCH,
            ("outputs", pa.binary()),
            ("predecessors", pa.binary()),
            ("consumer_group", pa.string()),
        ]
    ),
    # The outputs of a batch may be some megabytes.
    rows_at_once=16,
)
IN_HAND: Final = CopiedTable(
    "StreamAssocInHand",
    ("topic", "partition"),
    pa.schema(
        [
            ("topic", pa.string()),
            ("partition", pa.int32()),
            ("first_offset", pa.int64()),
            ("last_offset", pa.int64()),
            ("is_suspect", pa.bool_()),
        ]
    ),
)
CHANGED: Final = CopiedTable(
    "StreamAssocChanged",
    ("diaObjectId",),
    pa.schema([("diaObjectId", pa.int64()), ("tile", pa.int64()), ("is_outdated", pa.bool_())]),
)
TILES: Final = CopiedTable(
    "StreamAssocTile", ("tile",), pa.schema([("tile", pa.int64()), ("version", pa.int64()), *_BATCH])
)
CHUNKS: Final = CopiedTable(
    "ApdbReplicaChunks",
    (CHUNK,),
    pa.schema([(CHUNK, pa.int64()), ("last_update_time", pa.timestamp("ms")), ("unique_id", pa.binary(16))]),
)
UPDATES: Final = CopiedTable(
    "ApdbUpdateRecordChunks",
    (CHUNK,),
    pa.schema(
        [
            (CHUNK, pa.int64()),
            ("update_time_ns", pa.int64()),
            ("update_order", pa.int32()),
            ("update_unique_id", pa.binary(16)),
            ("update_payload", pa.string()),
        ]
    ),
)
REPLICAS: Final = (CHUNKS, UPDATES)
"""Tables that are there where rows are noted for replicas."""
