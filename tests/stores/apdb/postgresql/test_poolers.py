"""A pooler that shares sessions is refused before it holds anything of ours; one that does not is as good as none."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import numpy as np
import psycopg
import pytest

from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.stores.apdb.postgresql.connection import Connector, ServerSession
from stream_assoc.stores.apdb.postgresql.session import PostgresqlSession
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.testing.rows import BIG, CELLS, FIRST, SECOND, new_objects, store
from tests.stores.apdb.postgresql.pgbouncer import pgbouncer

pytestmark = pytest.mark.integration

HASTY = Patience(connect_seconds=10.0, answer_seconds=10.0, lock_seconds=0.05)


@contextmanager
def warmed(url: str, n_sessions: int) -> Iterator[None]:
    """Let the pooler have that many sessions idle on the server."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(psycopg.connect(url))) for _ in range(n_sessions)]
        for client in clients:
            client.execute("SELECT 1")
        for client in clients:
            client.rollback()
        yield


@pytest.mark.parametrize("open_it", [open_apdb, open_reader])
@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_refused(
    postgresql_apdb_url: str, pool_mode: str, open_it: Callable[[str], object]
) -> None:
    with (
        pgbouncer(postgresql_apdb_url, pool_mode) as url,
        pytest.raises(ApdbConfigurationError, match=r"apdb\.url.*pooler.*pool_mode = session"),
    ):
        open_it(url)


@pytest.mark.parametrize("round_robin", [False, True])
@pytest.mark.parametrize("n_sessions", [1, 2, 3, 4])
def test_it_is_seen_whichever_session_it_chooses(
    postgresql_apdb_url: str, n_sessions: int, round_robin: bool
) -> None:
    with (
        pgbouncer(postgresql_apdb_url, "transaction", n_sessions, round_robin) as url,
        warmed(url, n_sessions),
        pytest.raises(ApdbConfigurationError, match="pooler"),
    ):
        open_apdb(url)


def test_nothing_of_ours_is_left_in_a_session_of_others(postgresql_apdb_url: str) -> None:
    with pgbouncer(postgresql_apdb_url, "transaction", 1) as url:
        with pytest.raises(ApdbConfigurationError, match="pooler"):
            open_reader(url)
        with psycopg.connect(url, autocommit=True) as other:
            names = ("enable_seqscan", "default_transaction_read_only", "lock_timeout", "statement_timeout")
            left = [other.execute(f"SHOW {name}".encode()).fetchone() for name in names]
    assert left == [("on",), ("off",), ("0",), ("0",)]


def test_tables_can_be_made_through_it(postgresql_database: str) -> None:
    """A migration is one transaction; only the check at the end needs a session."""
    init(postgresql_database)
    with pgbouncer(postgresql_database, "transaction") as url, pytest.raises(ApdbConfigurationError, match="pooler"):
        init(url)


def test_a_pooler_in_session_mode_is_as_good_as_none(postgresql_apdb_url: str) -> None:
    with pgbouncer(postgresql_apdb_url, "session", 10) as url:
        apdb, other = open_apdb(url), open_apdb(postgresql_apdb_url, patience=HASTY)
        store(apdb, new_objects(FIRST, [BIG]))
        with apdb.exclusive(CELLS), pytest.raises(Exception, match="lock"), other.exclusive(CELLS):
            pass
        assert other.report == apdb.report
        store(other, new_objects(SECOND, [BIG + 2]))
        assert apdb.contains(SECOND)
        apdb.close()
        other.close()


def test_a_session_that_the_pooler_passed_on_is_not_ended(postgresql_apdb_url: str) -> None:
    with pgbouncer(postgresql_apdb_url, "session", 3) as url:
        connector = Connector(url, {}, HASTY)
        lost = connector.connect()
        assert lost.session is not None
        connector.lose(lost)
        lost.close()
        with ExitStack() as stack:
            # The pool has no session but those, so one of these clients has the lost one's.
            clients = [stack.enter_context(closing(psycopg.connect(url, autocommit=True))) for _ in range(2)]
            pids = [client.execute("SELECT pg_backend_pid()").fetchall()[0][0] for client in clients]
            assert lost.session.pid in pids
            connector.connect().close()
            assert [client.execute("SELECT 1").fetchone() for client in clients] == [(1,), (1,)]


def test_a_session_of_its_own_is_ended_behind_a_pooler_too(postgresql_apdb_url: str) -> None:
    with pgbouncer(postgresql_apdb_url, "session", 5) as url:
        connector = Connector(url, {}, HASTY)
        lost = connector.connect()
        connector.lose(lost)
        with connector.connect(), pytest.raises(psycopg.OperationalError):
            lost.execute("SELECT 1")


def test_sessions_of_another_process_are_not_ended(postgresql_apdb_url: str) -> None:
    """Though it knows their numbers."""
    mine, theirs = Connector(postgresql_apdb_url, {}, HASTY), Connector(postgresql_apdb_url, {}, HASTY)
    other = theirs.connect()
    mine.lose(other)
    with mine.connect():
        assert other.execute("SELECT 1").fetchone() == (1,)
    other.close()


@pytest.mark.parametrize("name", ["stream_assoc", "night", "n" * 63])
def test_sessions_are_called_as_they_are_told_to_be(postgresql_apdb_url: str, name: str) -> None:
    separator = "&" if "?" in postgresql_apdb_url else "?"
    connector = Connector(f"{postgresql_apdb_url}{separator}application_name={name}", {}, HASTY)
    with connector.connect() as connection:
        shown = connection.execute("SHOW application_name").fetchall()[0][0]
    assert shown.startswith(name[:46])
    assert len(shown) <= 63


def test_rows_are_not_stored_by_another_session_than_holds_the_cells(postgresql_apdb_url: str) -> None:
    """A pooler may be set to share sessions while the daemon runs."""
    apdb = open_apdb(postgresql_apdb_url)
    assert isinstance(apdb, PostgresqlApdb)
    with pytest.raises(ApdbConfigurationError, match="another session"):
        store_elsewhere(apdb)
    assert not apdb.contains(FIRST)
    apdb.close()


def store_elsewhere(apdb: PostgresqlApdb) -> None:
    with apdb.exclusive(np.unique(CELLS)) as session:
        assert isinstance(session, PostgresqlSession)
        was = session._connection.session
        assert was is not None
        session._connection.session = ServerSession(was.pid + 1, was.started)
        session.commit([new_objects(FIRST, [BIG])])
