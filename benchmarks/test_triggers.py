"""What the triggers for other programs cost a batch, which switches them off for itself."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from benchmarks.deployed import first_visits, repeated_visit
from benchmarks.pipeline_services import SETTINGS
from benchmarks.side_by_side import Figure, in_turns
from benchmarks.skies import Size
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.configured import configured

SIZE = Size(10_000, 100_000)
ROUNDS = 6
TABLES = ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource")


def test_a_visit_with_triggers(postgresql_database: str, record: Callable[[Figure], None]) -> None:
    settings = configured(**SETTINGS)
    init(postgresql_database)
    with (
        closing(open_apdb(postgresql_database)) as apdb,
        psycopg.connect(postgresql_database, autocommit=True) as server,
    ):
        services = services_of(settings, apdb, MemoryCache(layout_of(settings)))
        for batch in first_visits(SIZE):
            process_batches([arrive(batch, services)], services)
        visits = iter([repeated_visit(SIZE, number) for number in range(1, 2 * ROUNDS + 3)])

        def process(switch: str) -> None:
            for table in TABLES:
                server.execute(f'ALTER TABLE "{table}" {switch} TRIGGER USER'.encode())
            process_batches([arrive(next(visits), services)], services)

        timed = in_turns(ROUNDS, with_triggers=lambda: process("ENABLE"), without_triggers=lambda: process("DISABLE"))
    record(
        Figure(
            "a visit of 10k sources into PostgreSQL with the triggers for other programs / without",
            timed.ratio("with_triggers", "without_triggers"),
            bar=1.05,
            details=timed.seconds,
        )
    )
