"""The PPDB compared with the APDB, row for row.

The PPDB is read first: what it holds then came from the APDB before, so the
APDB, read later, has it too. Both are read in the order of their keys, so
memory holds a few thousand rows whatever their number, and the update records
of chunks that have not been replicated.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from stream_assoc.tools.replica.compare import Comparison, Judgement, judged, pairs
from stream_assoc.tools.replica.databases import (
    APDB_CHUNKS,
    PPDB_CHUNKS,
    Side,
    apdb_rows,
    awaiting_records,
    chunks_of,
    comparison_of,
    ppdb_rows,
)
from stream_assoc.tools.replica.records import Key, UpdateRecord, by_key


@dataclass(frozen=True, slots=True)
class Comparing:
    """Both databases, each as it was at one time.

    Attributes
    ----------
    replicated : `frozenset` [`int`]
        Chunks that the PPDB has.
    n_awaiting : `int`
        How many the APDB has beside these.
    changed : mapping
        Replicated chunks that were written to afterwards, and the identifier
        that each has now. The replicator warns of them, and ends if it was
        started with ``--single``.
    """

    replicated: frozenset[int]
    n_awaiting: int
    changed: Mapping[int, uuid.UUID]
    _apdb: tuple[Side, sa.Connection]
    _ppdb: tuple[Side, sa.Connection]
    _records: Mapping[str, Mapping[Key, Sequence[UpdateRecord]]]

    def comparison(self, table: str) -> Comparison:
        """Return how a table is compared."""
        return comparison_of(table, self._apdb[0], self._ppdb[0])

    def judgements(self, table: str) -> Iterator[Judgement]:
        """Compare the rows of a table, ascending by key.

        Raises
        ------
        ReplicaError
            If a database is not what it should be.
        ReplicaUnavailableError
            If one can no longer be reached.
        """
        comparison = self.comparison(table)
        (apdb, apdb_connection), (ppdb, ppdb_connection) = self._apdb, self._ppdb
        merged = pairs(
            apdb_rows(apdb_connection, apdb, comparison, self.replicated),
            ppdb_rows(ppdb_connection, ppdb, comparison),
        )
        return judged(merged, comparison, self._records[table])


@contextmanager
def comparing(apdb: Side, ppdb: Side) -> Iterator[Comparing]:
    """Begin a comparison, which ends with the block.

    Raises
    ------
    ReplicaError
        If one of them is not what it should be.
    ReplicaUnavailableError
        If one of them cannot be reached.
    """
    with ppdb.snapshot() as ppdb_connection:
        replicated = chunks_of(ppdb_connection, ppdb, PPDB_CHUNKS)
        with apdb.snapshot() as apdb_connection:
            noted = chunks_of(apdb_connection, apdb, APDB_CHUNKS)
            yield Comparing(
                frozenset(replicated),
                len(noted.keys() - replicated.keys()),
                {chunk: now for chunk, now in noted.items() if replicated.get(chunk, now) != now},
                (apdb, apdb_connection),
                (ppdb, ppdb_connection),
                by_key(awaiting_records(apdb_connection, apdb, replicated)),
            )
