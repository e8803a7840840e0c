"""What is said of a ring that is not there, or lets nobody in."""

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

import pyarrow as pa
import pytest
from cassandra import AuthenticationFailed, OperationTimedOut, Unauthorized, cluster
from cassandra.cluster import Cluster, NoHostAvailable, Session
from cassandra.connection import ConnectionShutdown
from cassandra.pool import Host, HostConnection

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.failures import UnknownOutcomeError, translated, undecided
from stream_assoc.stores.apdb.cassandra.requests import Write
from stream_assoc.stores.apdb.cassandra.tables import UNFINISHED
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.patience import Patience
from tests.cassandra.ring import Ring

LATE_SECONDS = 0.5
N_CONNECTIONS = 6

URL = CassandraUrl(("127.0.0.1",), "apdb", 1, user="u", password="secret")


def test_a_ring_that_is_away_may_come_back() -> None:
    with pytest.raises(ApdbUnavailableError, match=r"Cassandra does not answer .apdb\.url"):
        URL.connect(Patience(connect_seconds=2))


def test_a_user_who_is_refused_is_a_setting_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_cluster: Cluster, **_: object) -> None:
        raise NoHostAvailable("nobody", {"127.0.0.1": AuthenticationFailed("u and secret do not match")})

    monkeypatch.setattr(Cluster, "connect", refuse)
    with pytest.raises(ApdbConfigurationError, match=r"refuses the user of apdb\.url") as caught:
        URL.connect(Patience())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("raised", [translated, undecided])
def test_what_a_user_may_not_do_is_a_setting_that_is_wrong(
    raised: Callable[[], AbstractContextManager[None]],
) -> None:
    with pytest.raises(ApdbConfigurationError, match=r"may not do .* MODIFY"), raised():
        raise Unauthorized("User u has no MODIFY permission")


def test_a_node_that_is_killed_at_work_leaves_it_undone_or_in_doubt() -> None:
    killed = ConnectionShutdown("[Errno 104] Connection reset by peer")
    with pytest.raises(ApdbUnavailableError, match="reset by peer") as caught, translated():
        raise killed
    assert not isinstance(caught.value, UnknownOutcomeError)
    with pytest.raises(UnknownOutcomeError, match="reset by peer"), undecided():
        raise killed


@pytest.mark.integration
def test_each_node_is_asked_however_late_it_is_connected(
    cassandra_ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, never = cassandra_ring.addresses[-1], threading.Event()
    connect = cluster.HostConnection

    def connect_late(host: Host, *arguments: object) -> HostConnection:
        if host.address == late:
            never.wait(LATE_SECONDS)
        return connect(host, *arguments)

    monkeypatch.setattr(cluster, "HostConnection", connect_late)
    url = CassandraUrl(cassandra_ring.addresses[:1], "system")
    # Whether the driver waits for the late one by itself is chance, one in three.
    for _ in range(N_CONNECTIONS):
        with contextlib.closing(url.connect(Patience())) as connection:
            said = connection.read_of_each_node("SELECT data_center FROM system.local")
        assert said.keys() == set(cassandra_ring.addresses)


@pytest.mark.integration
def test_a_statement_that_no_node_takes_in_may_be_taken_in_later(
    cassandra_node: Ring, keyspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_session: Session, _statement: str) -> None:
        raise OperationTimedOut("no answer")

    statement = f'INSERT INTO "{UNFINISHED}" (shard, group_id) VALUES (?, ?)'
    with contextlib.closing(CassandraUrl(cassandra_node.addresses, keyspace).connect(Patience())) as connection:
        row = (0, uuid4())
        write = Write(statement, (pa.chunked_array([pa.array([0])]), pa.chunked_array([pa.array([row[1].bytes])])))
        for attempt in (
            lambda: connection.requests([write]),
            lambda: connection.decide_together([(statement, row)]),
            lambda: connection.write_each(statement, [row]),
            lambda: connection.read_each(f'SELECT shard FROM "{UNFINISHED}" WHERE shard = ?', [(0,)]),
        ):
            with monkeypatch.context() as away:
                away.setattr(Session, "prepare", nobody)
                with pytest.raises(ApdbUnavailableError, match="does not answer"):
                    attempt()
        connection.send(connection.requests([write]))
