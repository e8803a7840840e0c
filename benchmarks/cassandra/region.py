"""A region that nothing has cached, read by us and by the driver alone."""

import numpy as np
import pyarrow as pa
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from benchmarks.cassandra.stores import TILE_LEVEL
from benchmarks.cassandra.visits import CENTRE_RA, positions
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.applier import write_of
from stream_assoc.stores.apdb.cassandra.connection import IN_AT_ONCE, Connection
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.side_by_side import CONCURRENCY

SEEN_MJD = 60_000.0
_READ = (
    'SELECT "diaObjectId", ra, dec, "raErr", "decErr", "validityStartMjdTai", "nDiaSources" '
    'FROM "DiaObjectLast" WHERE apdb_part IN ?'
)


def fill(connection: Connection, n_objects: int, square_degrees: float) -> IntArray:
    """Write the last versions of so many objects; return the tiles that they are in."""
    ra, dec = positions(n_objects, square_degrees)
    ra += CENTRE_RA
    rows = pa.table(
        {
            "diaObjectId": np.arange(n_objects, dtype=np.int64),
            "apdb_part": Places().pixels(ra, dec),
            "ra": ra,
            "dec": dec,
            "raErr": np.full(n_objects, 2e-5, np.float32),
            "decErr": np.full(n_objects, 2e-5, np.float32),
            "validityStartMjdTai": np.full(n_objects, SEEN_MJD),
            "nDiaSources": np.full(n_objects, 1, np.int32),
        }
    )
    connection.send(connection.requests([write_of(Change("DiaObjectLast", rows), 1)]))
    return np.unique(htm_index(ra, dec, TILE_LEVEL))


def read(apdb: CassandraApdb, tiles: IntArray) -> int:
    """Read these tiles as a session does; return how many objects they have."""
    with apdb.reading() as reader:
        return int(reader.load_tiles(tiles).offsets[-1])


def partitions(tiles: IntArray) -> list[int]:
    """Return the partitions that these tiles are in."""
    found: list[int] = Places().pixels_of(tiles, TILE_LEVEL).tolist()
    return found


def read_alone(session: Session, pixels: list[int]) -> int:
    """Read partitions by the driver alone; return how many rows they have."""
    prepared = session.prepare(_READ)
    prepared.consistency_level = ConsistencyLevel.QUORUM
    asked = [(pixels[at : at + IN_AT_ONCE],) for at in range(0, len(pixels), IN_AT_ONCE)]
    answers = execute_concurrent_with_args(session, prepared, asked, concurrency=CONCURRENCY)
    return sum(len(list(answer.result_or_exc)) for answer in answers)
