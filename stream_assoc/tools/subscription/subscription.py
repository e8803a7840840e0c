"""Subscribing: an iterator over the records of one output topic."""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.messaging.kafka.time_order import TimeOrderedReader
from stream_assoc.messaging.kafka.topic_reader import TopicReader
from stream_assoc.tools.subscription.decoding import Decoder
from stream_assoc.tools.subscription.records import BadMessage

Record = TypeVar("Record")

_POLL_SECONDS: Final = 0.5

log = logging.getLogger(__name__)


def log_bad(bad: BadMessage) -> None:
    """Log a message that cannot be read."""
    log.warning("%s", bad)


@dataclass(frozen=True, slots=True)
class Ending:
    """When a subscription ends by itself; by default never.

    Attributes
    ----------
    limit : `int` or `None`
        After that many records.
    idle_seconds : `float` or `None`
        After so long without a message.
    """

    limit: int | None = None
    idle_seconds: float | None = None


class Subscription(Generic[Record]):
    """Yields the records of a topic; use it in a ``with`` or a ``for`` statement.

    What was there at the beginning comes in the order of publication, whatever
    its partitions; what is published later, and all that a group is given, in
    the order of each partition.

    Only committed messages are read, so each record of a batch is seen once.
    A message that cannot be read is told and passed over.

    With a group, a record counts as read once the next one is asked for:
    after a crash, or after leaving the loop with a record in hand, that record
    comes again, and none is skipped.

    Attributes
    ----------
    n_records, n_bad : `int`
        Records given, and messages passed over, so far.
    """

    def __init__(
        self,
        reader: TopicReader,
        decoder: Decoder[Record | None],
        ending: Ending,
        on_bad: Callable[[BadMessage], None] = log_bad,
    ) -> None:
        self.n_records = 0
        self.n_bad = 0
        self._reader = reader
        self._ordered = TimeOrderedReader(reader)
        self._decoder = decoder
        self._limit = ending.limit
        self._idle_seconds = ending.idle_seconds
        self._on_bad = on_bad
        self._is_closed = False
        self._records = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        try:
            return next(self._records)
        except StopIteration:
            self.close()
            raise

    def close(self) -> None:
        """Leave; the subscription then ends."""
        if not self._is_closed:
            self._is_closed = True
            self._records.close()
            self._reader.close()

    def _read(self) -> Generator[Record]:
        heard = time.monotonic()
        while not self._is_full():
            messages = self._messages(heard)
            if not messages:
                if self._ordered.at_end or self._is_quiet(heard):
                    break
                continue
            for message, record in zip(messages, self._decoder.decode(messages), strict=True):
                if isinstance(record, BadMessage):
                    self.n_bad += 1
                    self._on_bad(record)
                elif record is not None:
                    self.n_records += 1
                    yield record
                self._reader.done_with(message.position)
                if self._is_full():
                    break
            self._reader.commit()
            heard = time.monotonic()

    def _messages(self, heard: float) -> list[InputMessage]:
        messages = self._ordered.read(self._patience(heard))
        # Who ends for want of messages has had those that waited for others.
        return messages or (self._ordered.rest() if self._is_quiet(heard) else [])

    def _is_full(self) -> bool:
        return self._limit is not None and self.n_records >= self._limit

    def _is_quiet(self, heard: float) -> bool:
        return self._idle_seconds is not None and time.monotonic() - heard >= self._idle_seconds

    def _patience(self, heard: float) -> float:
        if self._idle_seconds is None:
            return _POLL_SECONDS
        return min(_POLL_SECONDS, max(0.0, heard + self._idle_seconds - time.monotonic()))
