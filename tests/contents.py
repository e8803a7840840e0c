"""What an APDB holds, read with plain SQL, so that two of them can be compared."""

import contextlib
import math
import sqlite3
from pathlib import Path
from typing import Any

import psycopg

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.rows.tables import quoted
from stream_assoc.stores.apdb.sqlite.backend import SqliteUrl
from tests.cassandra.contents import read_table

FURTHER = "StreamAssocDiaObject"
SCIENCE_TABLES = ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource", FURTHER)
CHUNK_TABLES = ("DiaObjectChunks", "DiaSourceChunks", "DiaForcedSourceChunks")
LEDGER = "StreamAssocLedger"
OUTBOX = "StreamAssocOutbox"
COUNTER = "StreamAssocCounter"
CHECKPOINT = "StreamAssocCheckpoint"
ALL_TABLES = (*SCIENCE_TABLES, *CHUNK_TABLES, LEDGER, OUTBOX, COUNTER)

Rows = list[tuple[Any, ...]]


def contents(url: str, *tables: str, without: tuple[str, ...] = ()) -> dict[str, Rows]:
    """Return the sorted rows of some tables, NULL and NaN as None, columns in the order of their names.

    The outbox is read without its sequence, which counts failed transactions
    too, and without predecessors, which depend on what shared a transaction;
    the counter as one sum, because which shard counts is of no meaning.
    """
    return {name: _rows(url, name, {*without, "sequence", "predecessors"}) for name in tables or SCIENCE_TABLES}


def column(url: str, table: str, name: str) -> list[Any]:
    """Return one column of a table, in no order: two columns read so do not belong together."""
    return [row[0] for row in columns(url, table, name)]


def columns(url: str, table: str, *names: str) -> Rows:
    """Return some columns of a table, row by row, in no order."""
    if isinstance(place := parse_url(url), CassandraUrl):
        found, rows = read_table(place, table)
        return [tuple(row[found.index(name)] for name in names) for row in rows]
    return _select(url, f'SELECT {quoted(names)} FROM "{table}"')[1]


def n_rows(url: str, table: str) -> int:
    """Return the number of rows of a table."""
    if isinstance(place := parse_url(url), CassandraUrl):
        return len(read_table(place, table)[1])
    return int(_select(url, f'SELECT count(*) FROM "{table}"')[1][0][0])


def execute(url: str, *statements: str) -> None:
    """Execute statements in one transaction, as some program may that knows nothing of ours."""
    parsed = parse_url(url)
    if isinstance(parsed, SqliteUrl):
        with contextlib.closing(sqlite3.connect(Path(parsed.path))) as connection, connection:
            for statement in statements:
                connection.execute(statement)
    else:
        with psycopg.connect(url) as server:
            for statement in statements:
                server.execute(statement.encode())


def _rows(url: str, table: str, without: set[str]) -> Rows:
    place = parse_url(url)
    if isinstance(place, CassandraUrl):
        names, rows = read_table(place, table)
    else:
        names, rows = _select(url, f'SELECT * FROM "{table}"')
    if table == COUNTER:
        return [(sum(row[names.index("n_single_source")] for row in rows),)]
    kept = sorted((name, index) for index, name in enumerate(names) if name not in without)
    return sorted((tuple(_plain(row[index]) for _, index in kept) for row in rows), key=repr)


def _select(url: str, statement: str) -> tuple[list[str], Rows]:
    parsed = parse_url(url)
    if isinstance(parsed, SqliteUrl):
        with contextlib.closing(sqlite3.connect(Path(parsed.path))) as connection:
            cursor = connection.execute(statement)
            return [one[0] for one in cursor.description], cursor.fetchall()
    # As text, a float4 would come back as another double than the one SQLite keeps.
    with psycopg.connect(url) as server, server.cursor(binary=True) as reader:
        reader.execute(statement)
        return [one.name for one in reader.description or ()], reader.fetchall()


def _plain(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    return bytes(value) if isinstance(value, memoryview) else int(value) if isinstance(value, bool) else value
