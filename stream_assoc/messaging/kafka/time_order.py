"""A backlog of several partitions in the order of time."""

import heapq
import time
from collections import deque
from typing import Final, Protocol

from stream_assoc.core.model.messages import InputMessage

MOST_WAITING: Final = 2_000
"""Messages of a partition that may wait for those of others; beyond it the partition is not read."""


class PartitionedReader(Protocol):
    """What is needed of `~stream_assoc.messaging.kafka.topic_reader.TopicReader`."""

    @property
    def at_end(self) -> bool:
        """Whether all has been read that there was to read."""

    @property
    def behind(self) -> frozenset[int]:
        """Partitions of whose backlog something is still to come."""

    def read(self, seconds: float) -> list[InputMessage]:
        """Return what has arrived, waiting at most that long for the first message."""

    def hold(self, partitions: frozenset[int]) -> None:
        """Read nothing of these partitions until told otherwise."""


class TimeOrderedReader:
    """Gives what was there when reading began in the order of publication, whatever its partitions.

    Each partition keeps its own order. What comes later is given as it
    arrives.

    Parameters
    ----------
    reader : `PartitionedReader`
        Gives the messages of each partition in order.
    """

    def __init__(self, reader: PartitionedReader) -> None:
        self._reader = reader
        self._waiting: dict[int, deque[InputMessage]] = {}

    @property
    def at_end(self) -> bool:
        """Whether all has been given that there was to read."""
        return self._reader.at_end and not self._waiting

    def read(self, seconds: float) -> list[InputMessage]:
        """Return what may be given, waiting at most that long for it."""
        deadline = time.monotonic() + seconds
        while True:
            for message in self._reader.read(max(0.0, deadline - time.monotonic())):
                self._waiting.setdefault(message.position.partition, deque()).append(message)
            given = self._give(self._reader.behind)
            self._hold_what_waits()
            if given or self.at_end or time.monotonic() >= deadline:
                return given

    def rest(self) -> list[InputMessage]:
        """Return what still waits for messages of other partitions, in order as far as it is known."""
        return self._give(frozenset())

    def _give(self, behind: frozenset[int]) -> list[InputMessage]:
        """Return messages until one might be followed by an earlier one of a partition that is behind."""
        heads = [(waiting[0].timestamp_ms, partition) for partition, waiting in self._waiting.items()]
        heapq.heapify(heads)
        given = []
        while heads and behind <= self._waiting.keys():
            _, partition = heads[0]
            waiting = self._waiting[partition]
            given.append(waiting.popleft())
            if waiting:
                heapq.heapreplace(heads, (waiting[0].timestamp_ms, partition))
            else:
                heapq.heappop(heads)
                del self._waiting[partition]
        return given

    def _hold_what_waits(self) -> None:
        self._reader.hold(
            frozenset(partition for partition, waiting in self._waiting.items() if len(waiting) > MOST_WAITING)
        )
