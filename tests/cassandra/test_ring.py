"""The ring that tests run on is a real one: it decides under conditions, and lives on without one node."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from cassandra import ConsistencyLevel, OperationTimedOut, RequestExecutionException
from cassandra.cluster import Cluster, NoHostAvailable, Session
from cassandra.policies import ConstantReconnectionPolicy
from cassandra.query import SimpleStatement

from tests.cassandra.ring import Ring

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 60.0


@contextmanager
def keyspace(ring: Ring) -> Iterator[Session]:
    """Connect to a keyspace with a table of its own, a replica on each node."""
    name = f"test_{uuid4().hex}"
    with Cluster(
        ring.addresses, protocol_version=5, reconnection_policy=ConstantReconnectionPolicy(0.2, None)
    ) as cluster:
        session = cluster.connect(wait_for_all_pools=True)
        replication = f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {len(ring.addresses)}}}"
        session.execute(f"CREATE KEYSPACE {name} WITH replication = {replication}")
        session.set_keyspace(name)
        session.execute("CREATE TABLE decision (id int PRIMARY KEY, state text)")
        yield session


def answer(session: Session, statement: SimpleStatement) -> list[Any]:
    """Return the rows of an answer, however often it takes to get one: nodes need seconds to notice one is away."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return list(session.execute(statement))
        except (RequestExecutionException, OperationTimedOut, NoHostAvailable):
            if time.monotonic() > deadline:
                raise


def decide(session: Session, state: str) -> bool:
    """Tell whether a decision counts. One without an answer may have counted, and then the next finds it there."""
    statement = SimpleStatement(
        f"INSERT INTO decision (id, state) VALUES (1, '{state}') IF NOT EXISTS",
        consistency_level=ConsistencyLevel.QUORUM,
        serial_consistency_level=ConsistencyLevel.SERIAL,
    )
    return bool(answer(session, statement)[0][0])


def test_one_of_two_decisions_counts(cassandra_node: Ring) -> None:
    with keyspace(cassandra_node) as session:
        assert decide(session, "first")
        assert not decide(session, "second")


def test_two_nodes_of_three_decide(cassandra_ring: Ring) -> None:
    with keyspace(cassandra_ring) as session:
        cassandra_ring.kill(2)
        try:
            decide(session, "first")
            assert not decide(session, "second")
            read = SimpleStatement("SELECT state FROM decision", consistency_level=ConsistencyLevel.SERIAL)
            assert answer(session, read) == [("first",)]
        finally:
            cassandra_ring.start(2)
