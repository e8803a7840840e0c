"""Writes to the cache that wait until subscribers have the outputs."""

from collections import deque

from stream_assoc.pipeline.services import CacheWrite


class WriteBack:
    """A queue of cache writes.

    Subscribers need not wait for the cache, and nothing is lost if a write is
    never done: the APDB has raised the version of every tile it concerns, so
    what the cache holds of them is not believed. For the same reason the locks
    on their cells need not be held so long. Another daemon that asks for one of
    these tiles meanwhile rebuilds it.
    """

    def __init__(self) -> None:
        self._waiting: deque[CacheWrite] = deque()

    def put_off(self, write: CacheWrite) -> None:
        """Do this later, after what was put off before."""
        self._waiting.append(write)

    def catch_up(self) -> None:
        """Do what was put off, in order.

        Raises
        ------
        CacheUnavailableError
            If the cache went away. What it was about is given up.
        """
        while self._waiting:
            self._waiting.popleft()()
