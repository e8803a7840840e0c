"""Measure on a real ring: ``python -m benchmarks.cassandra stores | region | history``.

A ring is started from its jars, with the compiler that a server has. What is compared runs in turns and in one
run, and its first turns are not counted: until Java has compiled what it runs often, a read costs five times as much.
"""

import argparse
import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from statistics import median

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import RoundRobinPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory
from lsst.dax.apdb import Apdb as DaxApdb

from benchmarks.cassandra.deciding import decided, process_cold
from benchmarks.cassandra.region import fill, partitions, read, read_alone
from benchmarks.cassandra.spent import Meter, Spent
from benchmarks.cassandra.stores import (
    CELL_LEVEL,
    PATIENT,
    TILE_LEVEL,
    keyspace,
    one_by_one,
    open_apdb,
    planned,
    store,
    store_by_dax,
    write_together,
    writes,
)
from benchmarks.cassandra.visits import FIELD_VISITS, visits
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.stores.apdb.cassandra.connection import PROTOCOL_VERSION
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb as open_apdb_at
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from tests import services
from tests.cassandra.ring import Ring

SERVER_JVM = ("-Xms1g", "-Xmx2g", "-Xss512k", "-XX:MaxDirectMemorySize=512m", "-XX:+UseParallelGC")
SIZES = (1, 20, 60)
"""Sources of history an object."""


class Table:
    """What each of some works has cost, turn by turn."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._spent: dict[str, list[Spent]] = {}

    def add(self, name: str, work: Callable[[], object]) -> None:
        """Do something, and print what it cost."""
        with self._meter.spent(self._spent.setdefault(name, []).append):
            work()
        print(f"  {name}: {self._spent[name][-1]}", flush=True)

    def ratio(self, name: str, other: str, n_first: int) -> str:
        """Return how many times as much one costs as the other, without the first turns."""
        ours, theirs = (self._spent[one][n_first:] for one in (name, other))
        clock = median(one.clock for one in ours) / median(one.clock for one in theirs)
        processors = median(one.processors for one in ours) / median(one.processors for one in theirs)
        return f"{name} / {other}: {clock:.2f} of the clock, {processors:.2f} of the processors"


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cassandra", description=__doc__)
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=100_000, help="of the region that is read")
    parser.add_argument("--square-degrees", type=float, default=9.6)
    parser.add_argument("--one-by-one", action="store_true", help="also write each row by a statement of its own")
    parser.add_argument("--warming", type=int, default=12, help="small visits of another field, before")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--first", type=int, default=2, help="turns that are not counted")
    options = parser.parse_args()
    with Ring(services.cassandra_jars(), options.nodes, SERVER_JVM) as ring:
        MEASURES[options.what](ring, Meter(ring), options)


def stores(ring: Ring, meter: Meter, options: argparse.Namespace) -> None:
    """Store the same visits by us, by dax_apdb, and as rows alone."""
    table = Table(meter)
    url, theirs = keyspace(ring, "ours"), keyspace(ring, "theirs")
    alone = {name: keyspace(ring, name) for name in ("together", "one_by_one")}
    dax = DaxApdb.from_config(theirs.dax_config())
    with contextlib.ExitStack() as stack:
        sky = stack.enter_context(_sqlite())
        apdb = stack.enter_context(contextlib.closing(open_apdb(url)))
        ours, batched = (
            stack.enter_context(contextlib.closing(one.connect(PATIENT))) for one in (url, alone["together"])
        )
        session = _driver(stack, ring, "one_by_one")
        small = visits(options.sources // 5, options.square_degrees / 5, FIELD_VISITS)
        large = visits(options.sources, options.square_degrees)
        for batch in chain(islice(small, options.warming), islice(large, options.turns)):
            changes = decided(sky, batch)
            print(f"visit {batch.id.visit}, {len(changes[0].dia_objects)} versions of objects", flush=True)
            table.add("ours", functools.partial(store, apdb, changes))
            table.add("dax_apdb", functools.partial(store_by_dax, dax, changes))
            rows = planned(ours, changes)
            requests = batched.requests(writes(rows))
            table.add("rows together", functools.partial(batched.send, requests))
            if options.one_by_one:
                table.add("rows one by one", functools.partial(write_together, session, one_by_one(session, rows)))
    for other in ("dax_apdb", "rows together", *(["rows one by one"] if options.one_by_one else [])):
        print(table.ratio("ours", other, options.warming + options.first))


def region(ring: Ring, meter: Meter, options: argparse.Namespace) -> None:
    """Read a region that nothing has cached, by us and by the driver alone."""
    table, url = Table(meter), keyspace(ring, "ours")
    with contextlib.ExitStack() as stack:
        apdb = stack.enter_context(contextlib.closing(open_apdb(url)))
        connection = stack.enter_context(contextlib.closing(url.connect(PATIENT)))
        session = _driver(stack, ring, "ours")
        tiles = fill(connection, options.objects, options.square_degrees)
        pixels = partitions(tiles)
        for _ in range(options.turns):
            table.add("ours", functools.partial(read, apdb, tiles))
            table.add("driver", functools.partial(read_alone, session, pixels))
        print(f"{read(apdb, tiles)} objects in {len(tiles)} tiles, {len(pixels)} partitions")
    print(table.ratio("ours", "driver", options.first))


def history(ring: Ring, meter: Meter, options: argparse.Namespace) -> None:
    """Process visits of objects with ever more sources, with nothing cached."""
    table, url = Table(meter), keyspace(ring, "ours")
    with contextlib.closing(open_apdb(url)) as apdb:
        # Until Java has compiled what it needs, a visit costs twice as much and more.
        for batch in islice(visits(options.sources, options.square_degrees, FIELD_VISITS), options.warming):
            table.add("warming up", functools.partial(process_cold, apdb, batch))
        for number, batch in enumerate(islice(visits(options.sources, options.square_degrees), max(SIZES) + 4)):
            near = next((size for size in SIZES if size <= number < size + 4), None)
            name = "between" if near is None else f"{near} sources an object"
            table.add(name, functools.partial(process_cold, apdb, batch))
    for size in SIZES[1:]:
        print(table.ratio(f"{size} sources an object", f"{SIZES[0]} sources an object", 0))


@contextlib.contextmanager
def _sqlite() -> Iterator[OpenApdb]:
    """Yield an APDB over which is decided what the others store."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder, 'apdb.db')}"
        init(url)
        apdb = open_apdb_at(
            url,
            tile_level=TILE_LEVEL,
            cell_level=CELL_LEVEL,
            flag_columns=(),
            patience=PATIENT,
            replication=DEFAULT_REPLICATION,
        )
        with contextlib.closing(apdb):
            yield apdb


def _driver(stack: contextlib.ExitStack, ring: Ring, name: str) -> Session:
    """Return a session of the driver alone on a keyspace."""
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(RoundRobinPolicy()),
        consistency_level=ConsistencyLevel.QUORUM,
        request_timeout=PATIENT.answer_seconds,
        row_factory=tuple_factory,
    )
    cluster = Cluster(
        list(ring.addresses),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=PROTOCOL_VERSION,
    )
    stack.callback(cluster.shutdown)
    session = cluster.connect()
    session.set_keyspace(name)
    return session


MEASURES = {"stores": stores, "region": region, "history": history}


if __name__ == "__main__":
    main()
