"""A network to PostgreSQL that breaks: noticed in time, and nobody waits for locks of the dead."""

from collections.abc import Iterator

import psycopg
import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.stores.apdb.postgresql.connection import Connector, ServerSession
from stream_assoc.testing.rows import BIG, CELLS, FIRST, TILES, new_objects
from tests.chaos.networks import Network, network_to_postgresql

pytestmark = pytest.mark.integration

HASTY = Patience(connect_seconds=2.0, answer_seconds=0.4, lock_seconds=0.4)


@pytest.fixture
def network(postgresql_apdb_url: str) -> Iterator[Network]:
    with network_to_postgresql(postgresql_apdb_url) as network:
        yield network


@pytest.fixture
def apdb(network: Network) -> Iterator[PostgresqlApdb]:
    apdb = PostgresqlApdb(network.url, patience=HASTY)
    yield apdb
    apdb.close()


def test_a_silent_server_is_noticed(apdb: PostgresqlApdb, network: Network) -> None:
    network.proxy.cut()
    with pytest.raises(ApdbUnavailableError, match=r"0\.8 s \(apdb\.timeout_seconds"):
        apdb.contains(FIRST)
    with pytest.raises(ApdbUnavailableError, match="connection timeout"):
        apdb.contains(FIRST)
    network.proxy.mend(dead=True)
    assert not apdb.contains(FIRST)


def test_a_statement_that_was_only_delayed_goes_on(apdb: PostgresqlApdb, network: Network) -> None:
    with apdb.exclusive(CELLS) as session:
        network.proxy.cut()
        network.proxy.mend()
        assert session.read_snapshot([FIRST], TILES).entries == {}


@pytest.mark.parametrize("dead", [True, False])
def test_the_locks_of_a_lost_session_are_taken_from_it(apdb: PostgresqlApdb, network: Network, dead: bool) -> None:
    with pytest.raises(ApdbUnavailableError, match="no answer"):
        be_cut_off_inside(apdb, network)
    network.proxy.mend(dead=dead)
    with apdb.exclusive(CELLS) as session:
        assert session.read_snapshot([FIRST], TILES).entries == {}


def be_cut_off_inside(apdb: PostgresqlApdb, network: Network) -> None:
    with apdb.exclusive(CELLS) as session:
        network.proxy.cut()
        session.load_tiles(TILES)


@pytest.mark.parametrize("delivered", [True, False])
@pytest.mark.parametrize("dead", [True, False])
def test_after_a_commit_in_doubt_the_ledger_knows(
    apdb: PostgresqlApdb, network: Network, delivered: bool, dead: bool
) -> None:
    batch = new_objects(FIRST, [BIG])
    with pytest.raises(ApdbUnavailableError, match="no answer"):
        be_cut_off_at_commit(apdb, network, delivered)
    network.proxy.mend(dead=dead)
    with apdb.exclusive(CELLS) as session:
        known = session.read_snapshot([FIRST], TILES).entries
        # Bytes that were only delayed may reach the server before the session is ended, or not.
        if delivered or dead:
            assert bool(known) is delivered
        if not known:
            session.commit([batch])
    assert apdb.count_rows()["StreamAssocLedger"] == 1
    assert apdb.count_rows()["DiaObject"] == 1


def be_cut_off_at_commit(apdb: PostgresqlApdb, network: Network, delivered: bool) -> None:
    with apdb.exclusive(CELLS) as session:
        network.proxy.cut_at(b"COMMIT", delivered=delivered)
        session.commit([new_objects(FIRST, [BIG])])


def test_only_lost_sessions_are_ended(postgresql_apdb_url: str) -> None:
    connector = Connector(postgresql_apdb_url, {}, HASTY)
    lost, other = connector.connect(), connector.connect()
    assert lost.session is not None
    assert other.session is not None
    connector.lose(lost)
    # A session of today under the number of one of yesterday.
    other.session = ServerSession(other.session.pid, "2020-01-01 00:00:00+00")
    connector.lose(other)
    with connector.connect():
        assert other.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.AdminShutdown):
            lost.execute("SELECT 1")
    other.close()


@pytest.mark.parametrize(
    ("configured", "used"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_a_commit_is_durable_whatever_the_server_is_set_to(
    postgresql_apdb_url: str, configured: str, used: str
) -> None:
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {server.info.dbname} SET synchronous_commit = {configured}")
    with Connector(postgresql_apdb_url, {}, HASTY).connect() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == (used,)


def test_a_statement_larger_than_every_buffer_is_sent_whole(postgresql_apdb_url: str) -> None:
    """In a pipeline nobody reads meanwhile: the client must not wait for an answer to what it has not sent."""
    text = "x" * 50_000_000
    with Connector(postgresql_apdb_url, {}, HASTY).connect() as connection, connection.pipeline():
        length = connection.execute("SELECT length(%s)", [text])
        with connection.pipeline():
            one = connection.execute("SELECT 1")
        assert (length.fetchone(), one.fetchone()) == ((len(text),), (1,))
