"""Requests: rows that one statement each would write, put together for fewer round trips."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import RowsRefusedError
from stream_assoc.stores.apdb.cassandra.encoding import EncodedColumn, Value, encode_column

BATCH_BYTES: Final = 256 * 1024
"""Values of one request, far below what servers that dax_apdb works with take."""

BATCH_PARTITIONS: Final = 10
"""Partitions of one request: by default servers warn of more."""

Request: TypeAlias = BoundStatement | BatchStatement

_Nodes: TypeAlias = Callable[[Sequence[bytes]], IntArray]
_Row: TypeAlias = tuple[BoundStatement, int]


@dataclass(frozen=True, slots=True)
class Write:
    """Rows that one statement writes, each with its own values.

    Attributes
    ----------
    statement : `str`
    columns : `tuple` [`pyarrow.ChunkedArray`, ...]
        What the statement asks for, in its order.
    absent : `None` or ``UNSET_VALUE``
        What is written where there is no value.
    """

    statement: str
    columns: tuple[pa.ChunkedArray, ...]
    absent: Value = None


def requests_of(writes: Iterable[tuple[PreparedStatement, Write]], nodes_of: _Nodes) -> list[Request]:
    """Return few requests that write these rows: those that lie on the same nodes go together.

    Parameters
    ----------
    writes : iterable of `tuple`
        What is to be written, and the statement of each as it was prepared.
    nodes_of : callable
        Tells of keys of partitions, by a number, which nodes hold each.

    Raises
    ------
    RowsRefusedError
        If a value is none of its column's type.
    """
    partitions: dict[bytes, list[_Row]] = {}
    for prepared, write in writes:
        for key, row in bound_rows(prepared, write):
            partitions.setdefault(key, []).append(row)
    by_nodes: dict[int, list[list[_Row]]] = {}
    for nodes, rows in zip(nodes_of(list(partitions)).tolist(), partitions.values(), strict=True):
        by_nodes.setdefault(nodes, []).append(rows)
    return [request for together in by_nodes.values() for request in _packed(together)]


def bound_rows(prepared: PreparedStatement, write: Write) -> Iterator[tuple[bytes, tuple[BoundStatement, int]]]:
    """Yield for each row the key of its partition, its statement, and the bytes of its values."""
    columns = [
        _encoded(column, about.type.typename, write, about.name)
        for about, column in zip(prepared.column_metadata, write.columns, strict=True)
    ]
    key_places = prepared.routing_key_indexes
    if any(write.columns[place].null_count for place in key_places):
        raise RowsRefusedError(f"Cassandra cannot take a row without the key of its partition: {write.statement}")
    n_rows = len(write.columns[0])
    n_bytes = np.sum([np.broadcast_to(column.n_bytes, n_rows) for column in columns], axis=0).tolist()
    keys = _keys([columns[place].values for place in key_places])
    values = zip(*(column.values for column in columns), strict=True)
    for key, row, size in zip(keys, values, n_bytes, strict=True):
        bound = BoundStatement(prepared, routing_key=key)
        bound.values = row
        yield key, (bound, size)


def _encoded(column: pa.ChunkedArray, kind: str, write: Write, name: str) -> EncodedColumn:
    try:
        return encode_column(column, kind, write.absent)
    except (ValueError, NotImplementedError) as error:
        raise RowsRefusedError(f"Cassandra cannot take a value of {name} in {write.statement}: {error}") from error


def _keys(parts: Sequence[list[Value]]) -> list[bytes]:
    """Return the keys of partitions as the native protocol has them, for a token to be made of each."""
    if len(parts) == 1:
        return parts[0]
    return [
        b"".join([struct.pack(">H", len(part)) + part + b"\0" for part in key]) for key in zip(*parts, strict=True)
    ]


def _packed(partitions: Sequence[Sequence[_Row]]) -> Iterator[Request]:
    """Yield the fewest requests that write rows of these partitions, none of them too large for a server."""
    stretch: list[BoundStatement] = []
    n_bytes = n_partitions = 0
    for partition in partitions:
        n_partitions += 1
        for bound, size in partition:
            if stretch and (n_bytes + size > BATCH_BYTES or n_partitions > BATCH_PARTITIONS):
                yield _request_of(stretch)
                stretch, n_bytes, n_partitions = [], 0, 1
            stretch.append(bound)
            n_bytes += size
    yield _request_of(stretch)


def _request_of(stretch: Sequence[BoundStatement]) -> Request:
    if len(stretch) == 1:
        return stretch[0]
    batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.QUORUM)
    for bound in stretch:
        batch.add(bound)
    return batch
