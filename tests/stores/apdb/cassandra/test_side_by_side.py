"""Requests that no connection has room for, and requests that fail."""

import functools
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

import pytest
from cassandra import OperationTimedOut
from cassandra.cluster import Cluster, NoHostAvailable, Session
from cassandra.connection import ConnectionBusy

from stream_assoc.stores.apdb.cassandra import connection as connections
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.side_by_side import CONCURRENCY, side_by_side
from stream_assoc.stores.apdb.patience import Patience
from tests.cassandra.ring import Ring

LITTLE_ROOM: Final = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)]
N_ROWS: Final = 20 * CONCURRENCY
VALUE: Final = b"v" * 50_000
INSERT: Final = "INSERT INTO many (key, value) VALUES (?, ?)"
READ: Final = "SELECT key, value FROM many WHERE key = ?"

NO_ROOM: Final = NoHostAvailable("nobody", {"node": ConnectionBusy("is overloaded")})
AWAY: Final = NoHostAvailable("nobody", {"node": OSError("away"), "other": ConnectionBusy("is overloaded")})


class Answered:
    """A request whose answer is there, or has failed."""

    def __init__(self, outcome: object) -> None:
        self._outcome = outcome
        self._col_names = self._col_types = None
        self.has_more_pages = False

    def add_callbacks(self, answer: Callable[..., None], fail: Callable[..., None], more: tuple[object, ...]) -> None:
        if isinstance(self._outcome, Exception):
            fail(self._outcome)
        else:
            answer(self._outcome, *more)

    def clear_callbacks(self) -> None:
        """Forget them."""


class Scripted:
    """A session that answers as it is told."""

    def __init__(self, outcomes: Sequence[object]) -> None:
        self._outcomes = iter(outcomes)
        self.sent: list[object] = []

    def execute_async(self, query: object, parameters: object = None, *_: Any, **__: Any) -> Any:
        self.sent.append(query)
        return Answered(next(self._outcomes))


def asked(n: int) -> list[tuple[int, tuple[()]]]:
    return [(number, ()) for number in range(n)]


def test_what_found_no_room_is_sent_again_when_the_others_are_answered() -> None:
    session = Scripted([[0], NO_ROOM, [1], [2], NO_ROOM, [3]])
    answers = side_by_side(session, asked(4))
    assert [list(answer) for answer in answers] == [[0], [1], [2], [3]]
    assert session.sent == [0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("failure", [AWAY, OperationTimedOut("no answer")])
def test_nothing_is_sent_after_a_failure(failure: Exception) -> None:
    session = Scripted([[0], failure, [2]])
    with pytest.raises(type(failure)):
        side_by_side(session, asked(4))
    assert session.sent == [0, 1]


def test_where_there_is_never_room_it_fails() -> None:
    session = Scripted([[0], NO_ROOM, NO_ROOM])
    with pytest.raises(NoHostAvailable, match="is overloaded"):
        side_by_side(session, asked(2))
    assert session.sent == [0, 1, 1]


@pytest.fixture
def far_away(cassandra_node: Ring, keyspace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Return a connection whose socket takes little at once, as one does to a node that is far away."""
    monkeypatch.setattr(connections, "Cluster", functools.partial(Cluster, sockopts=LITTLE_ROOM))
    with closing(CassandraUrl(cassandra_node.addresses, keyspace).connect(Patience())) as connection:
        connection.change_tables("CREATE TABLE many (key bigint PRIMARY KEY, value blob)")
        yield connection


@pytest.mark.integration
def test_a_socket_that_is_full_is_waited_for(far_away: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, execute_async = [], Session.execute_async

    def noted(session: Session, *arguments: Any) -> Any:
        sent.append(arguments)
        return execute_async(session, *arguments)

    monkeypatch.setattr(Session, "execute_async", noted)
    far_away.write_each(INSERT, [(key, VALUE) for key in range(N_ROWS)])
    assert len(sent) > N_ROWS, "the socket was never full"
    rows = far_away.read_each(READ, [(key,) for key in range(N_ROWS)])
    assert rows == [[(key, VALUE)] for key in range(N_ROWS)]


@pytest.mark.integration
def test_an_answer_is_read_to_its_last_page(far_away: Connection) -> None:
    far_away.write_each(INSERT, [(key, b"") for key in range(N_ROWS)])
    far_away._session.default_fetch_size = N_ROWS // 7
    (rows,) = far_away.read_each("SELECT key FROM many", [()])
    assert sorted(rows) == [(key,) for key in range(N_ROWS)]
