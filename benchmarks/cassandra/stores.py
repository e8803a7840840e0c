"""The same visits stored by a session of ours, by ``lsst.dax.apdb``, and as rows alone."""

from collections.abc import Sequence

import astropy.time
import numpy as np
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent
from lsst.dax.apdb import Apdb as DaxApdb

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.stores.apdb.backend import ClusterChoices
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.applier import write_of
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.claims import Claims
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.plans import Change, Plans
from stream_assoc.stores.apdb.cassandra.requests import Request, Write, bound_rows
from stream_assoc.stores.apdb.cassandra.side_by_side import CONCURRENCY
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from tests.cassandra.ring import Ring

PATIENT = Patience(answer_seconds=300.0, lock_seconds=300.0)
TILE_LEVEL, CELL_LEVEL = 10, 8


def keyspace(ring: Ring, name: str) -> CassandraUrl:
    """Make an APDB, with replication on, and three copies of all if there are three nodes."""
    url = CassandraUrl(ring.addresses, name)
    choices = ClusterChoices(replication_factor=min(3, len(ring.addresses)))
    url.administration().init(
        drop=False, replication=True, tile_level=TILE_LEVEL, cell_level=CELL_LEVEL, cluster=choices
    )
    return url


def open_apdb(url: CassandraUrl) -> CassandraApdb:
    """Return the APDB in a keyspace."""
    return CassandraApdb(
        url, tile_level=TILE_LEVEL, flag_columns=(), patience=PATIENT, replication=DEFAULT_REPLICATION
    )


def store(apdb: CassandraApdb, changes: Sequence[BatchChanges]) -> None:
    """Store a visit: take its cells, look, commit, free them."""
    tiles = np.unique(np.concatenate([one.tiles for one in changes]))
    with apdb.exclusive(np.unique(tiles >> 2 * (TILE_LEVEL - CELL_LEVEL))) as session:
        session.read_snapshot([one.entry.id for one in changes], tiles)
        session.commit(changes)


def store_by_dax(client: DaxApdb, changes: Sequence[BatchChanges]) -> None:
    """Store the same rows as lsst-ap-association does."""
    for one in changes:
        objects, sources = (
            table.drop_columns(["pixelId"]).to_pandas() for table in (one.dia_objects, one.dia_sources)
        )
        client.store(astropy.time.Time(one.entry.timeProcessedMjdTai, format="mjd", scale="tai"), objects, sources)


def planned(connection: Connection, changes: Sequence[BatchChanges]) -> tuple[list[Change], int]:
    """Return the rows of a plan that is stored, and their timestamp."""
    owner = Claims(connection, Groups(connection)).owner(changes[0].entry.key)
    assert owner is not None
    assert owner.commitment is not None
    commitment = owner.commitment
    plan = Plans(connection).read(owner.group_id, commitment.n_chunks, commitment.digest)
    return list(plan), commitment.timestamp


def write_together(session: Session, rows: Sequence[Request]) -> None:
    """Send requests as the driver does alone."""
    execute_concurrent(session, [(row, ()) for row in rows], concurrency=CONCURRENCY)


def one_by_one(session: Session, rows: tuple[list[Change], int]) -> list[Request]:
    """Return a prepared statement for each of these rows, encoded."""
    found: list[Request] = []
    for write in writes(rows):
        prepared = session.prepare(write.statement)
        prepared.consistency_level = ConsistencyLevel.QUORUM
        found += [bound for _, (bound, _) in bound_rows(prepared, write)]
    return found


def writes(rows: tuple[list[Change], int]) -> list[Write]:
    """Return what writes the rows of a plan."""
    changes, timestamp = rows
    return [write_of(change, timestamp) for change in changes if change.rows.num_rows]
