"""Database connections that are kept open between their uses."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from stream_assoc.pipeline.exceptions import ApdbUnavailableError


class Closable(Protocol):
    """Anything that can be closed."""

    def close(self) -> None:
        """Release what it holds."""


C = TypeVar("C", bound=Closable)


class ConnectionPool(Generic[C]):
    """Lends each connection to one caller at a time and opens another when all are lent.

    A connection whose use ended in an error is closed, never lent again: its
    transaction, locks and temporary state die with it. When the database went
    away the idle ones are closed too, so that the next call connects anew.

    Parameters
    ----------
    connect : callable
        Opens a connection.
    """

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._idle: list[C] = []
        self._mutex = threading.Lock()

    @contextmanager
    def connection(self) -> Iterator[C]:
        """Lend a connection for the length of the block."""
        with self._mutex:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        except BaseException as error:
            connection.close()
            if isinstance(error, ApdbUnavailableError):
                self.close()
            raise
        with self._mutex:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        with self._mutex:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
