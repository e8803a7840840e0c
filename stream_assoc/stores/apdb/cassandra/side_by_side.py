"""Many requests at once, however slowly a node takes them."""

from collections.abc import Iterable, Sequence
from threading import Semaphore
from typing import Any, Final

from cassandra.cluster import NoHostAvailable, ResponseFuture, ResultSet, Session
from cassandra.connection import ConnectionBusy
from cassandra.pool import NoConnectionsAvailable

CONCURRENCY: Final = 64
"""Requests that are on their way at once."""

Asked = tuple[Any, Sequence[object]]
"""A statement, and its parameters."""


def side_by_side(session: Session, asked: Sequence[Asked]) -> list[ResultSet]:
    """Return the answers to these requests, in their order.

    The driver gives a request up at once if what is on its way to the node fills the socket, because the node is busy
    or far away. Such a request is sent again when those before it are answered.

    Raises
    ------
    Exception
        What the driver raises for a request that fails. By then nothing is on its way any more, and what had not been
        sent never is.
    """
    sending = _Sending(session, asked)
    left = list(range(len(asked)))
    while left:
        sending.send(left)
        still_left = [place for place in left if place not in sending.answers]
        for failure in sending.failures:
            if not _was_not_sent(failure) or len(still_left) == len(left):
                raise failure
        sending.failures.clear()
        left = still_left
    return [sending.answers[place] for place in range(len(asked))]


class _Sending:
    """Requests, and what has become of them so far.

    Attributes
    ----------
    answers : `dict` [`int`, `ResultSet`]
        By the place of the request.
    failures : `list` [`Exception`]
        Of the requests that were sent last.
    """

    def __init__(self, session: Session, asked: Sequence[Asked]) -> None:
        self._session = session
        self._asked = asked
        self._room = Semaphore(CONCURRENCY)
        self.answers: dict[int, ResultSet] = {}
        self.failures: list[Exception] = []

    def send(self, places: Iterable[int]) -> None:
        """Send these requests until one fails; return when all that were sent are answered or have failed."""
        for place in places:
            self._room.acquire()
            if self.failures:
                self._room.release()
                break
            future = self._session.execute_async(*self._asked[place])
            future.add_callbacks(self._answer, self._fail, (future, place))
        for _ in range(CONCURRENCY):
            self._room.acquire()
        self._room.release(CONCURRENCY)

    def _answer(self, rows: object, future: ResponseFuture, place: int) -> None:
        # Or it would be called again for each page that is read of the answer.
        future.clear_callbacks()
        self.answers[place] = ResultSet(future, rows)
        self._room.release()

    def _fail(self, failure: Exception) -> None:
        self.failures.append(failure)
        self._room.release()


def _was_not_sent(failure: Exception) -> bool:
    """Tell whether a request has reached no node, because no connection had room for it."""
    if not isinstance(failure, NoHostAvailable) or not failure.errors:
        return False
    return all(isinstance(error, ConnectionBusy | NoConnectionsAvailable) for error in failure.errors.values())
