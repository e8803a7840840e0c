"""Withdrawing what is noted for replicas: rows of replica chunks, and update records."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from stream_assoc.stores.apdb.cassandra.compatibility import Layout
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.rows.tables import KEYS

_PART: Final = "apdb_replica_chunk = ? AND apdb_replica_subchunk = ?"


@dataclass(frozen=True, slots=True)
class _ChunkTable:
    """A table of replica chunks: its key inside a subchunk, and a column that tells when a row was written."""

    name: str
    key: tuple[str, ...]
    dated: str


_RECORDS: Final = _ChunkTable(
    "ApdbUpdateRecordChunks", ("update_time_ns", "update_order", "update_unique_id"), "update_payload"
)


def withdraw_rows(connection: Connection, layout: Layout, table: str, keys: Collection[Sequence[object]]) -> None:
    """Delete rows of a table from the replica chunks, whichever of them they are in; all chunks are read for it.

    Parameters
    ----------
    connection : `Connection`
    layout : `Layout`
    table : `str`
        DiaObject, DiaSource or DiaForcedSource.
    keys : collection
        Primary keys.
    """
    chunks = connection.read('SELECT apdb_replica_chunk FROM "ApdbReplicaChunks" WHERE partition = 0')
    parts = product((chunk for (chunk,) in chunks), range(layout.n_subchunks))
    _withdraw(connection, _ChunkTable(f"{table}Chunks2", KEYS[table], "ra"), parts, keys)


def withdraw_records(connection: Connection, layout: Layout, records: Collection[Sequence[object]]) -> None:
    """Delete update records: chunk, time in nanoseconds, order and unique identifier of each."""
    parts = product({chunk for chunk, *_ in records}, range(layout.n_subchunks))
    _withdraw(connection, _RECORDS, parts, [record[1:] for record in records])


def _withdraw(
    connection: Connection,
    table: _ChunkTable,
    parts: Iterable[tuple[object, int]],
    keys: Collection[Sequence[object]],
) -> None:
    """Delete rows by their keys, later than they were written: a clock may have been ahead."""
    names = ", ".join(f'"{name}"' for name in table.key)
    condition = " AND ".join(f'"{name}" = ?' for name in table.key)
    asked = list(parts)
    # Identifiers of records come as UUIDs or as their text.
    wanted = {tuple(map(str, key)) for key in keys}
    now = time.time_ns() // 1000
    answers = connection.read_each(
        f'SELECT {names}, WRITETIME("{table.dated}") FROM "{table.name}" WHERE {_PART}', asked
    )
    found = [
        (max(now, (written or 0) + 1), *part, *key)
        for part, rows in zip(asked, answers, strict=True)
        for *key, written in rows
        if tuple(map(str, key)) in wanted
    ]
    connection.write_each(f'DELETE FROM "{table.name}" USING TIMESTAMP ? WHERE {_PART} AND {condition}', found)
