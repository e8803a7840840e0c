"""Store visits on Cassandra, by us and by ``lsst.dax.apdb``, in turns: ``python -m benchmarks.cassandra``.

A ring of as many nodes as are asked for is started from its jars. Each visit is stored with replication on, by each
of both into a keyspace of its own, at the same positions; the first one is not counted.
"""

import argparse
import contextlib
import time
from collections.abc import Iterator
from statistics import median

import astropy.time
import numpy as np
import pyarrow as pa
from lsst.dax.apdb import Apdb

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.stores.apdb.backend import ClusterChoices
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.rows import changes, dia_object, source
from tests import services
from tests.cassandra.ring import Ring

CENTRE = (10.0, -30.0)
FIRST_MJD = 60000.0
PATIENT = Patience(answer_seconds=300.0, lock_seconds=300.0)


def main() -> None:
    """Print the seconds of each visit, and what ours takes of dax_apdb's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--square-degrees", type=float, default=9.6)
    parser.add_argument("--visits", type=int, default=4)
    options = parser.parse_args()
    ra, dec = _positions(options.sources, options.square_degrees)
    with Ring(services.cassandra_jars(), options.nodes) as ring:
        ours, theirs = (_created(ring, name, min(3, options.nodes)) for name in ("ours", "theirs"))
        client = Apdb.from_config(theirs.dax_config())
        seconds: dict[str, list[float]] = {"commit": [], "session": [], "dax_apdb": []}
        with contextlib.closing(_open(ours)) as apdb:
            for visit in range(options.visits):
                batch = _visit(visit, ra, dec)
                session, commit = _store(apdb, batch)
                with _timed() as other:
                    _store_by_dax(client, batch)
                for name, value in (("commit", commit), ("session", session), ("dax_apdb", other[0])):
                    seconds[name].append(value)
                print(
                    f"visit {visit}: session {session:.2f} s, of it commit {commit:.2f} s; dax_apdb {other[0]:.2f} s"
                )
    counted = {name: median(values[1:]) for name, values in seconds.items()}
    print(f"{options.sources} sources over {options.square_degrees} square degrees, {options.nodes} nodes: ", end="")
    print(f"session / dax_apdb = {counted['session'] / counted['dax_apdb']:.2f}")


def _created(ring: Ring, keyspace: str, replication_factor: int) -> CassandraUrl:
    url = CassandraUrl(ring.addresses, keyspace)
    choices = ClusterChoices(replication_factor=replication_factor)
    url.administration().init(drop=False, replication=True, tile_level=10, cell_level=8, cluster=choices)
    return url


def _open(url: CassandraUrl) -> CassandraApdb:
    return CassandraApdb(url, tile_level=10, flag_columns=(), patience=PATIENT, replication=DEFAULT_REPLICATION)


def _positions(n_sources: int, square_degrees: float) -> tuple[np.ndarray, np.ndarray]:
    random, side = np.random.default_rng(1), square_degrees**0.5
    dec = CENTRE[1] + side * random.random(n_sources)
    return CENTRE[0] + side * random.random(n_sources) / np.cos(np.radians(dec)), dec


def _visit(visit: int, ra: np.ndarray, dec: np.ndarray) -> BatchChanges:
    """Return a visit that sees each object once more; the first one makes them."""
    time_processed = FIRST_MJD + visit
    numbered = list(enumerate(zip(ra.tolist(), dec.tolist(), strict=True), start=1))
    sources = [
        source(visit << 32 | number, ra=x, dec=y, diaObjectId=number, timeProcessedMjdTai=time_processed)
        for number, (x, y) in numbered
    ]
    objects = [dia_object(number, time_processed, ra=x, dec=y) for number, (x, y) in numbered]
    tiles = np.unique(htm_index(ra, dec, 10)).tolist()
    return changes(BatchId(visit + 1, 1), sources, objects, time=time_processed, tiles=tiles)


def _store(apdb: CassandraApdb, batch: BatchChanges) -> tuple[float, float]:
    """Store a visit; return the seconds of the whole session, and those of its commit."""
    cells = np.unique(batch.tiles >> 4)
    with _timed() as session, apdb.exclusive(cells) as one:
        one.read_snapshot([batch.entry.id], batch.tiles)
        with _timed() as commit:
            one.commit([batch])
    return session[0], commit[0]


def _store_by_dax(client: Apdb, batch: BatchChanges) -> None:
    tables: list[pa.Table] = [batch.dia_objects, batch.dia_sources]
    objects, sources = (table.drop_columns(["pixelId"]).to_pandas() for table in tables)
    client.store(astropy.time.Time(batch.entry.timeProcessedMjdTai, format="mjd", scale="tai"), objects, sources)


@contextlib.contextmanager
def _timed() -> Iterator[list[float]]:
    seconds: list[float] = []
    begin = time.monotonic()
    yield seconds
    seconds.append(time.monotonic() - begin)


if __name__ == "__main__":
    main()
