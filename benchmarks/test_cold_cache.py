"""Rebuilding a region from PostgreSQL, against reading the same rows with ADBC."""

from collections.abc import Callable

import adbc_driver_postgresql.dbapi as adbc
import numpy as np

from benchmarks.rooms import SETTINGS
from benchmarks.side_by_side import Figure, in_turns
from benchmarks.skies import Size, objects_of, visit_of
from stream_assoc.apdb.create import init
from stream_assoc.apdb.factory import open_apdb
from stream_assoc.cache.memory import MemoryCache
from stream_assoc.daemon.assembly import layout_of, rooms_of
from stream_assoc.pipeline.process import arrive, process_batches
from stream_assoc.pipeline.rooms import Rooms
from stream_assoc.settings import Settings

N_OBJECTS = 10_000
N_SOURCES_EACH = 20


def test_a_cold_region(postgresql_database: str, record: Callable[[Figure], None]):
    settings = Settings(**SETTINGS)
    init(postgresql_database)
    apdb = open_apdb(postgresql_database)
    try:
        rooms = rooms_of(settings, apdb, MemoryCache(layout_of(settings)))
        fill(rooms)
        tiles = apdb.known_tiles()
        with adbc.connect(postgresql_database) as connection, connection.cursor() as cursor:
            connection.adbc_connection.set_autocommit(True)
            cursor.execute("ANALYZE")
            timed = in_turns(5, ours=lambda: rebuilt(rooms, tiles), adbc=lambda: read(cursor))
    finally:
        apdb.close()
    record(
        Figure(
            f"cold region of {N_OBJECTS} objects with {N_SOURCES_EACH} sources each / reading the rows with ADBC",
            timed.ratio("ours", "adbc"),
            bar=3.0,
            details=timed.seconds,
        )
    )


def fill(rooms: Rooms) -> None:
    size = Size(round(N_OBJECTS / 0.9), N_OBJECTS)
    objects = objects_of(size)
    for visit in range(N_SOURCES_EACH):
        process_batches([arrive(visit_of(size, objects, visit), rooms)], rooms)


def rebuilt(rooms: Rooms, tiles: np.ndarray) -> int:
    """Rebuild every tile and every state; return how many states."""
    with rooms.apdb.exclusive(np.unique(rooms.partition.cells(tiles))) as session:
        ids = np.concatenate([held.diaObjectId for held in session.load_tiles(tiles).values()])
        return len(rooms.calculator.rebuild(session.load_histories(ids)))


def read(cursor: adbc.Cursor) -> int:
    cursor.execute(
        'SELECT "diaObjectId", ra, "dec", "raErr", "decErr", "validityStartMjdTai", "nDiaSources" '
        'FROM "DiaObjectLast"'
    )
    n_objects = cursor.fetch_arrow_table().num_rows
    cursor.execute(
        'SELECT "diaObjectId", "diaSourceId", ra, "dec", "midpointMjdTai", "psfFlux", "psfFluxErr", "scienceFlux", '
        '"scienceFluxErr", band FROM "DiaSource" WHERE "diaObjectId" IS NOT NULL'
    )
    return n_objects + cursor.fetch_arrow_table().num_rows
