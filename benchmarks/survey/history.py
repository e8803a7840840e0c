"""An APDB whose objects have a history of any length."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import psycopg

from stream_assoc.settings.science import StatisticsSettings
from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING
from stream_assoc.stores.apdb.rows.tables import CHECKPOINT

FIRST = "first_sources"
"""A table of ours: one source of each object, which others are made after."""

DAYS = 4_000.0
"""Before the first visit; the history is not older."""

RECENT_DAYS = 1e-7
"""Between the processing of two of these: all come after what a daemon has processed, and before what it will."""

SHARE_SEEN = 0.8
"""Of the objects in each of these visits, so that all have another number of sources."""

N_RECENT = round(StatisticsSettings().checkpoint_every / 2 / SHARE_SEEN)
"""Visits since the checkpoints were written: half of what passes between two of an object."""


def begin(server: psycopg.Connection) -> None:
    """Remember one source of each object, before any has more.

    Parameters
    ----------
    server : `psycopg.Connection`
        In autocommit mode.
    """
    server.execute(
        f'CREATE TABLE {FIRST} AS SELECT DISTINCT ON ("diaObjectId") * FROM "DiaSource" '
        'WHERE "diaObjectId" IS NOT NULL ORDER BY "diaObjectId"'.encode()
    )


def grow(server: psycopg.Connection, visits: Sequence[int], write_checkpoints: Callable[[], None]) -> None:
    """Give the objects sources in so many more visits, in the bands in turn, one visit after the other.

    All but the last `N_RECENT` come before what the daemon has seen. Then checkpoints are written, so
    that the recent ones have to be folded onto them, as in the middle between two of an object.

    Parameters
    ----------
    server : `psycopg.Connection`
        In autocommit mode.
    visits : sequence of `int`
        Their numbers, not used before.
    write_checkpoints : callable
        Writes the checkpoints of all objects.

    Notes
    -----
    The indexes are made anew after the older visits, which takes minutes less than filling them. So they are
    a little denser than in a database that has grown by itself.
    """
    older, recent = visits[:-N_RECENT], visits[-N_RECENT:]
    # As a batch, of which no trigger notes anything.
    server.execute(f"SET {BATCH_SETTING} = 'on'".encode())
    server.execute(f'DELETE FROM "{CHECKPOINT}"'.encode())
    with _without_indexes(server):
        for visit in older:
            _insert(server, visit, f'"timeProcessedMjdTai" - {DAYS - visit}')
    server.execute("VACUUM (ANALYZE)")
    write_checkpoints()
    ((latest,),) = server.execute('SELECT max("validityStartMjdTai") FROM "DiaObjectLast"').fetchall()
    for number, visit in enumerate(recent, start=1):
        _insert(server, visit, f"{latest + number * RECENT_DAYS!r}")
    server.execute("VACUUM (ANALYZE)")


@contextlib.contextmanager
def _without_indexes(server: psycopg.Connection) -> Iterator[None]:
    """Drop the indexes of DiaSource but for that of its primary key, and make them anew at the end."""
    indexes = server.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'DiaSource' AND indexname NOT IN "
        "(SELECT conname FROM pg_constraint)"
    ).fetchall()
    for name, _ in indexes:
        server.execute(f'DROP INDEX "{name}"'.encode())
    yield
    for _, definition in indexes:
        server.execute(definition.encode())


def _insert(server: psycopg.Connection, visit: int, time_processed: str) -> None:
    """Store one more visit, processed at a time that may depend on its row."""
    columns = [
        name
        for (name,) in server.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'DiaSource' ORDER BY ordinal_position"
        )
    ]
    scatter = f'(hashint8("diaSourceId" + {visit}) % 1000) / 5.0'
    changed = {
        "diaSourceId": f'"diaSourceId" + {visit}::bigint * 1000000000000',
        "visit": f"visit + {visit} * 1000000",
        "midpointMjdTai": f'"midpointMjdTai" - {DAYS - visit}',
        "timeProcessedMjdTai": time_processed,
        "band": f"'{'ugrizy'[visit % 6]}'",
        "psfFlux": f'"psfFlux" + {scatter}',
        "scienceFlux": f'"scienceFlux" + {scatter}',
    }
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    server.execute(
        f'INSERT INTO "DiaSource" ({names}) SELECT {values} FROM {FIRST} '
        f'WHERE abs(hashint8("diaObjectId" # {visit}) % 1000) < {1000 * SHARE_SEEN:.0f}'.encode()
    )


def sources_each(server: psycopg.Connection) -> float:
    """Return the mean number of sources an object has."""
    (row,) = server.execute(
        'SELECT count(*)::float8 / count(DISTINCT "diaObjectId") FROM "DiaSource" WHERE "diaObjectId" IS NOT NULL'
    ).fetchall()
    return float(row[0])
