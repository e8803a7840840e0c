"""Requests: rows that one statement each would write, put together for fewer round trips."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BatchType, BoundStatement

BATCH_BYTES: Final = 256 * 1024
"""Values of one request, far below what servers that dax_apdb works with take."""

BATCH_PARTITIONS: Final = 10
"""Partitions of one request: by default servers warn of more."""

Request: TypeAlias = BoundStatement | BatchStatement


def requests_of(partitions: Sequence[Sequence[BoundStatement]]) -> Iterator[Request]:
    """Yield the fewest requests that write rows of these partitions, none of them too large for a server."""
    stretch: list[BoundStatement] = []
    n_bytes = n_partitions = 0
    for partition in partitions:
        n_partitions += 1
        for bound in partition:
            size = sum([len(value) for value in bound.values if value.__class__ is bytes])
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
