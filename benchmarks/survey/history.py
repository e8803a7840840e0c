"""An APDB whose objects have a history of any length."""

import psycopg

from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING
from stream_assoc.stores.apdb.sql.statements import CHECKPOINT

FIRST = "first_sources"
"""A table of ours: one source of each object, which earlier ones are made after."""

DAYS = 4_000.0
"""Before the first visit; the history is not older."""

SHARE_SEEN = 0.8
"""Of the objects in each earlier visit, so that all have another number of sources."""


def begin(server: psycopg.Connection) -> None:
    """Remember one source of each object, before any has more.

    Parameters
    ----------
    server : `psycopg.Connection`
        In autocommit mode.
    """
    server.execute(f"SET {BATCH_SETTING} = 'on'".encode())
    server.execute(
        f'CREATE TABLE {FIRST} AS SELECT DISTINCT ON ("diaObjectId") * FROM "DiaSource" '
        'WHERE "diaObjectId" IS NOT NULL ORDER BY "diaObjectId"'.encode()
    )


def grow(server: psycopg.Connection, visits: range) -> None:
    """Give the objects sources in so many earlier visits, in the bands in turn, one visit after the other.

    All come before what the daemon has seen. What is kept and cached is no prefix of that history any more.
    """
    columns = [
        name
        for (name,) in server.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'DiaSource' ORDER BY ordinal_position"
        )
    ]
    server.execute(f'DELETE FROM "{CHECKPOINT}"'.encode())
    names = ", ".join(f'"{name}"' for name in columns)
    for visit in visits:
        days = DAYS - visit
        scatter = f'(hashint8("diaSourceId" + {visit}) % 1000) / 5.0'
        changed = {
            "diaSourceId": f'"diaSourceId" + {visit}::bigint * 1000000000000',
            "visit": f"visit + {visit} * 1000000",
            "midpointMjdTai": f'"midpointMjdTai" - {days}',
            "timeProcessedMjdTai": f'"timeProcessedMjdTai" - {days}',
            "band": f"'{'ugrizy'[visit % 6]}'",
            "psfFlux": f'"psfFlux" + {scatter}',
            "scienceFlux": f'"scienceFlux" + {scatter}',
        }
        values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
        server.execute(
            f'INSERT INTO "DiaSource" ({names}) SELECT {values} FROM {FIRST} '
            f'WHERE abs(hashint8("diaObjectId" # {visit}) % 1000) < {1000 * SHARE_SEEN:.0f}'.encode()
        )
    server.execute("VACUUM (ANALYZE)")


def sources_each(server: psycopg.Connection) -> float:
    """Return the mean number of sources an object has."""
    (row,) = server.execute(
        'SELECT count(*)::float8 / count(DISTINCT "diaObjectId") FROM "DiaSource" WHERE "diaObjectId" IS NOT NULL'
    ).fetchall()
    return float(row[0])
