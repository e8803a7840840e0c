"""Rebuilding a region from PostgreSQL, against reading the same rows with ADBC."""

from collections.abc import Callable

import adbc_driver_postgresql.dbapi as adbc
import numpy as np

from benchmarks.deployed import first_visits
from benchmarks.pipeline_services import SETTINGS
from benchmarks.side_by_side import Figure, in_turns
from benchmarks.skies import Size
from stream_assoc.core.model.schema import PIXEL_ID, apdb_table
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.configured import configured

N_OBJECTS = 100_000
N_SOURCES_EACH = 20
N_BATCHES = 10
VISIT_STEP = 1_000
"""Between the visits of one source and those of its copies; their ids are a million a visit apart."""


def test_a_cold_region(postgresql_database: str, record: Callable[[Figure], None]) -> None:
    settings = configured(**SETTINGS)
    init(postgresql_database)
    apdb = open_apdb(postgresql_database)
    try:
        services = services_of(settings, apdb, MemoryCache(layout_of(settings)))
        with adbc.connect(postgresql_database, autocommit=True) as connection, connection.cursor() as cursor:
            fill(services, connection)
            tiles = apdb.known_tiles()
            # As autovacuum does after each hundred thousand rows.
            cursor.execute("VACUUM (ANALYZE)")
            timed = in_turns(3, ours=lambda: rebuilt(services, tiles), adbc=lambda: read(cursor))
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


def fill(services: Services, connection: adbc.Connection) -> None:
    """Make the objects as a daemon does, then give each as many sources as wanted."""
    for batch in first_visits(Size(0, N_OBJECTS), N_OBJECTS // N_BATCHES):
        process_batches([arrive(batch, services)], services)
    columns = [column.name for column in [*apdb_table("DiaSource").columns, PIXEL_ID]]
    changed = {
        "diaSourceId": f'"diaSourceId" + n * {VISIT_STEP}::bigint * 1000000',
        "visit": f"visit + n * {VISIT_STEP}",
        "midpointMjdTai": '"midpointMjdTai" + n',
        "timeProcessedMjdTai": '"timeProcessedMjdTai" + n / 1e6',
    }
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        # As a daemon would have stored them.
        cursor.execute(f"SET {BATCH_SETTING} = 'on'")
        cursor.execute(
            f'INSERT INTO "DiaSource" ({names}) SELECT {values} FROM "DiaSource", '
            f'generate_series(1, {N_SOURCES_EACH - 1}) n WHERE "diaObjectId" IS NOT NULL'
        )


def rebuilt(services: Services, tiles: np.ndarray) -> int:
    """Rebuild every tile and every state; return how many states."""
    with services.apdb.exclusive(np.unique(services.partition.cells(tiles))) as session:
        ids = session.load_tiles(tiles).positions.diaObjectId
        return len(services.calculator.rebuild(session.load_histories(ids)))


def read(cursor: adbc.Cursor) -> int:
    cursor.execute(
        'SELECT "diaObjectId", ra, "dec", "raErr", "decErr", "validityStartMjdTai", "nDiaSources" '
        'FROM "DiaObjectLast"'
    )
    n_objects: int = cursor.fetch_arrow_table().num_rows
    cursor.execute(
        'SELECT "diaObjectId", "diaSourceId", ra, "dec", "midpointMjdTai", "psfFlux", "psfFluxErr", "scienceFlux", '
        '"scienceFluxErr", band FROM "DiaSource" WHERE "diaObjectId" IS NOT NULL'
    )
    n_sources: int = cursor.fetch_arrow_table().num_rows
    return n_objects + n_sources
