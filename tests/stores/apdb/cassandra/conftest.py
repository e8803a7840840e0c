"""A keyspace with our tables and one of the test's own, and a prepared APDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from cassandra.cluster import Cluster

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.tables import DEFINITIONS, statements
from tests.cassandra.prepared import PreparedApdb
from tests.cassandra.ring import Ring
from tests.stores.apdb.cassandra.daemon import ITEMS, Daemon


@pytest.fixture
def keyspace(cassandra_node: Ring) -> Iterator[str]:
    """Make a keyspace of the test's own."""
    with _keyspace(cassandra_node) as name:
        yield name


@pytest.fixture(scope="session")
def shared_keyspace(cassandra_node: Ring) -> Iterator[str]:
    """Make a keyspace that tests share: making one takes seconds."""
    with _keyspace(cassandra_node) as name:
        yield name


@pytest.fixture
def daemons(cassandra_node: Ring, shared_keyspace: str) -> Iterator[tuple[Daemon, Daemon]]:
    """Return two daemons, each with a connection and a clock of its own; the tables are empty."""
    both = Daemon(cassandra_node.addresses, shared_keyspace), Daemon(cassandra_node.addresses, shared_keyspace)
    for table in (*DEFINITIONS, "Item"):
        if both[0].connection.read(f'SELECT * FROM "{table}" LIMIT 1'):
            both[0].connection.change_tables(f'TRUNCATE "{table}"')
    yield both
    for daemon in both:
        daemon.connection.close()


@pytest.fixture
def cassandra_apdb(prepared_apdb: PreparedApdb) -> CassandraUrl:
    """URL of an empty, prepared APDB: a test may write rows, but change no table."""
    prepared_apdb.empty()
    return prepared_apdb.url


@contextmanager
def _keyspace(node: Ring) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with Cluster(node.addresses, protocol_version=5) as cluster:
        session = cluster.connect()
        replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
        session.execute(f"CREATE KEYSPACE {name} WITH replication = {replication} AND durable_writes = false")
        session.set_keyspace(name)
        for statement in [*statements(), ITEMS]:
            session.execute(statement)
        yield name
        session.execute(f"DROP KEYSPACE {name}")
