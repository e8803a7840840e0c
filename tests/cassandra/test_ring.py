"""The ring that tests run on is a real one: it decides under conditions, and lives on without one node."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, Session
from cassandra.policies import ConstantReconnectionPolicy
from cassandra.query import SimpleStatement

from tests.cassandra.ring import Ring

pytestmark = pytest.mark.integration


@contextmanager
def keyspace(ring: Ring) -> Iterator[Session]:
    """Connect to a keyspace with a table of its own, a replica on each node."""
    name = f"test_{uuid4().hex}"
    with Cluster(
        ring.addresses, protocol_version=5, reconnection_policy=ConstantReconnectionPolicy(0.2, None)
    ) as cluster:
        session = cluster.connect()
        replication = f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {len(ring.addresses)}}}"
        session.execute(f"CREATE KEYSPACE {name} WITH replication = {replication}")
        session.set_keyspace(name)
        session.execute("CREATE TABLE decision (id int PRIMARY KEY, state text)")
        yield session
        session.execute(f"DROP KEYSPACE {name}")


def decide(session: Session, state: str) -> bool:
    statement = SimpleStatement(
        f"INSERT INTO decision (id, state) VALUES (1, '{state}') IF NOT EXISTS",
        consistency_level=ConsistencyLevel.QUORUM,
        serial_consistency_level=ConsistencyLevel.SERIAL,
    )
    return bool(session.execute(statement).one()[0])


def test_one_of_two_decisions_counts(cassandra_node: Ring) -> None:
    with keyspace(cassandra_node) as session:
        assert decide(session, "first")
        assert not decide(session, "second")


def test_two_nodes_of_three_decide(cassandra_ring: Ring) -> None:
    with keyspace(cassandra_ring) as session:
        cassandra_ring.kill(2)
        try:
            assert decide(session, "first")
            assert not decide(session, "second")
        finally:
            cassandra_ring.start(2)
