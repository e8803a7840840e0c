"""What checkpoints cost a visit, and what they save one whose objects are in no cache."""

import itertools
from collections.abc import Callable
from contextlib import closing

import psycopg

from benchmarks.deployed import first_visits, repeated_visit
from benchmarks.pipeline_services import SETTINGS
from benchmarks.side_by_side import Figure, in_turns
from benchmarks.skies import Size
from stream_assoc.core.statistics import ALL_PLUGINS
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.configured import configured

SIZE = Size(10_000, 20_000)
N_SOURCES_EACH = 60
ROUNDS = 3
EVERY = 16
N_VISITS_BEFORE = 64
"""Each sees half of the objects: nearly all have had their turn."""


def test_cold_visits(postgresql_database: str, record: Callable[[Figure], None]) -> None:
    settings = {
        every: configured(**{**SETTINGS, "statistics": {"plugins": ALL_PLUGINS, "checkpoint_every": every}})
        for every in (0, EVERY)
    }
    init(postgresql_database)
    with (
        closing(open_apdb(postgresql_database)) as apdb,
        psycopg.connect(postgresql_database, autocommit=True) as server,
    ):
        cache = MemoryCache(layout_of(settings[EVERY]))
        with_them, without = (services_of(settings[every], apdb, cache) for every in (EVERY, 0))
        for batch in first_visits(SIZE):
            process_batches([arrive(batch, with_them)], with_them)
        visits = (repeated_visit(SIZE, number) for number in itertools.count(1))

        def process(services: Services, *, cold: bool) -> None:
            if cold:
                cache.flush()
            process_batches([arrive(next(visits), services)], services)

        few = in_turns(ROUNDS, cold=lambda: process(without, cold=True))
        grow(server)
        # The history is another now than what is cached and kept.
        cache.flush()
        for _ in range(N_VISITS_BEFORE):
            process(with_them, cold=False)
        warm = in_turns(
            ROUNDS,
            with_them=lambda: process(with_them, cold=False),
            without=lambda: process(without, cold=False),
        )
        written = dict.fromkeys(("with_them", "without"), 0.0)
        for _ in range(ROUNDS):
            for name, services in (("with_them", with_them), ("without", without)):
                # Each writes whole pages then, whatever the one before it has written.
                server.execute("CHECKPOINT")
                before = log_position(server)
                process(services, cold=False)
                written[name] += (log_position(server) - before) / ROUNDS
        cold = in_turns(
            ROUNDS,
            with_them=lambda: process(with_them, cold=True),
            without=lambda: process(without, cold=True),
        )
    seconds = {f"cold, {name}": value for name, value in cold.seconds.items()}
    seconds |= {"cold, one source each": few.seconds["cold"]}
    record(
        Figure(
            f"a cold visit of 10k sources, about {N_SOURCES_EACH + N_VISITS_BEFORE // 2} sources an object / "
            "1 source an object",
            cold.seconds["with_them"] / few.seconds["cold"],
            details=seconds,
        )
    )
    record(Figure("a cold visit with checkpoints / without", cold.ratio("with_them", "without"), details=seconds))
    record(
        Figure(
            "a warm visit that writes checkpoints / without",
            warm.ratio("with_them", "without"),
            bar=1.1,
            details=warm.seconds,
        )
    )
    record(
        Figure(
            "log written for a warm visit that writes checkpoints / without",
            written["with_them"] / written["without"],
            bar=1.1,
            details={f"MiB, {name}": value / 2**20 for name, value in written.items()},
        )
    )


def log_position(server: psycopg.Connection) -> float:
    """Return how many bytes of write-ahead log there have been."""
    ((position,),) = server.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchall()
    return float(position)


def grow(server: psycopg.Connection, n_sources_each: int = N_SOURCES_EACH) -> None:
    """Give each object earlier sources, as if it had been seen for long."""
    columns = [
        name
        for (name,) in server.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'DiaSource' ORDER BY ordinal_position"
        )
    ]
    server.execute(f"SET {BATCH_SETTING} = 'on'".encode())
    # What is kept so far is no prefix of this history.
    server.execute('DELETE FROM "StreamAssocCheckpoint"')
    changed = {
        "diaSourceId": '"diaSourceId" + n * 1000000000000',
        "visit": "visit + n * 1000000",
        "midpointMjdTai": '"midpointMjdTai" - n',
        "timeProcessedMjdTai": '"timeProcessedMjdTai" - n / 1e3',
    }
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    server.execute(
        f'INSERT INTO "DiaSource" ({names}) SELECT {values} FROM (SELECT DISTINCT ON ("diaObjectId") * '
        f'FROM "DiaSource" WHERE "diaObjectId" IS NOT NULL ORDER BY "diaObjectId", "timeProcessedMjdTai") s, '
        f"generate_series(1, {n_sources_each - 1}) n ORDER BY n".encode()
    )
    # As autovacuum does after each hundred thousand rows.
    server.execute("VACUUM (ANALYZE)")
