"""The outbox on Cassandra is two tables: a daemon that dies between two requests leaves them of one mind."""

import contextlib

import pytest
from cassandra import OperationTimedOut
from cassandra.cluster import ResponseFuture

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.outbox import Outbox
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.rows import FIRST, new_objects, store

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("n_requests", range(4))
def test_what_waits_is_known_to_whoever_settles(
    cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch, n_requests: int
) -> None:
    """What is not published for others is found by its owner too, after however many requests of forgetting."""
    apdb = cassandra_apdb.open(
        tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION
    )
    assert isinstance(apdb, CassandraApdb)
    with contextlib.closing(apdb):
        batch = new_objects(FIRST, [1])
        store(apdb, batch)
        session = apdb._database.connection._session
        send, left = session.execute_async, iter(range(n_requests))

        def dies(*arguments: object, **named: object) -> ResponseFuture:
            if next(left, None) is None:
                raise OperationTimedOut("the daemon is dead")
            return send(*arguments, **named)

        outbox: Outbox = apdb._database.outbox
        with monkeypatch.context() as dying, contextlib.suppress(ApdbUnavailableError):
            dying.setattr(session, "execute_async", dies)
            outbox.forget([batch.entry.key])
        assert {one.entry.key for one in outbox.waiting()} == outbox.still_waiting([batch.entry.key])
        outbox.forget([batch.entry.key])
        assert outbox.batches() == []
        assert outbox.still_waiting([batch.entry.key]) == frozenset()
