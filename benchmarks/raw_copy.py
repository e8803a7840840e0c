"""The least that any program takes to store a visit: a bare COPY of its rows into the same tables."""

import time

import psycopg
from psycopg import sql

TABLES = {
    "DiaSource": "visit = %(visit)s",
    "DiaObject": '"validityStartMjdTai" = %(version)s',
    "DiaObjectLast": '"validityStartMjdTai" = %(version)s',
    "DiaObjectChunks": '"validityStartMjdTai" = %(version)s',
    "DiaSourceChunks": '"diaSourceId" IN (SELECT "diaSourceId" FROM "DiaSource" WHERE visit = %(visit)s)',
}
"""The tables of the APDB, and which of their rows a visit has written."""

CHUNKS = "ApdbReplicaChunks"
"""What the last two refer to."""


def raw_copy_seconds(apdb: psycopg.Connection, raw: psycopg.Connection, visit: int) -> float:
    """Copy the rows of a visit into the same tables of another database; return how long that took."""
    values: dict[str, object] = {"visit": visit, "version": version_of(apdb, visit)}
    rows = {table: copied_out(apdb, table, condition, values) for table, condition in TABLES.items()}
    ids = [
        row[0]
        for row in apdb.execute(
            'SELECT "diaObjectId" FROM "DiaObjectLast" WHERE "validityStartMjdTai" = %s', [values["version"]]
        )
    ]
    raw.execute('DELETE FROM "DiaObjectLast" WHERE "diaObjectId" = ANY(%s)', [ids])
    for chunk in apdb.execute(f'SELECT * FROM "{CHUNKS}"').fetchall():
        raw.execute(f'INSERT INTO "{CHUNKS}" VALUES (%s, %s, %s) ON CONFLICT DO NOTHING', chunk)
    start = time.monotonic()
    for table, data in rows.items():
        with raw.cursor().copy(sql.SQL("COPY {} FROM STDIN BINARY").format(sql.Identifier(table))) as copy:
            copy.write(data)
    raw.commit()
    return time.monotonic() - start


def version_of(apdb: psycopg.Connection, visit: int) -> float:
    row = apdb.execute('SELECT DISTINCT "timeProcessedMjdTai" FROM "DiaSource" WHERE visit = %s', [visit]).fetchone()
    assert row is not None
    return float(row[0])


def copied_out(apdb: psycopg.Connection, table: str, condition: str, values: dict[str, object]) -> bytes:
    query = sql.SQL("COPY (SELECT * FROM {} WHERE " + condition + ") TO STDOUT BINARY").format(sql.Identifier(table))
    with apdb.cursor().copy(query, values) as copy:
        return b"".join(copy)
