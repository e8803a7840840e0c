"""Reads one topic as a subscriber: from any point, with a group or without, to its end or for ever."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import RetriableError, StreamAssocError
from stream_assoc.messaging.kafka.client import KAFKA_HINT, consumer_options, input_message, told_when_slow
from stream_assoc.messaging.kafka.errors import (
    KafkaConfigurationError,
    KafkaUnavailableError,
    error_of,
    translate,
)
from stream_assoc.settings.kafka import KafkaSettings

ANSWER_SECONDS: Final = 10.0
"""Longest wait for an answer about the topic."""

SILENCE_SECONDS: Final = 60.0
"""After so long without a message, where there must be one, the broker is taken to be away."""

END_WAIT_MS: Final = 20

CHUNK_MESSAGES: Final = 1_000

Start: TypeAlias = Literal["beginning", "latest"] | int | Mapping[int, int]
"""The oldest message kept, the next one, those published since a time (milliseconds since 1970 UTC), or the
offset of each partition; a partition that is not named is read from its oldest message."""

MOVED_CODES: Final = (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS)
"""The group has gone on without this member: what was not committed is read again by another."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What of a topic is read.

    Attributes
    ----------
    topic : `str`
        A topic that exists.
    start : `Start`
        Where to begin; a group that has read before goes on from there instead.
    group : `str` or `None`
        Consumer group to share the partitions with; `None` reads all of them
        and takes nothing from anybody.
    until_end : `bool`
        End with what is there when reading begins. Not with a group, whose
        members know only their own partitions.
    partitions : `frozenset` [`int`] or `None`
        Only these; `None` for all.
    """

    topic: str
    start: Start = "latest"
    group: str | None = None
    until_end: bool = False
    partitions: frozenset[int] | None = None

    def __post_init__(self) -> None:
        if self.group is not None and self.until_end:
            raise KafkaConfigurationError("a group has no common end: read until the end without a group")


def warn(trouble: StreamAssocError) -> None:
    """Log what librdkafka gets over by itself."""
    log.warning("%s; still trying", trouble)


class TopicReader:
    """Reads the committed messages of a topic, partition by partition in order.

    The first answer of the broker is waited for here, so that a wrong address
    or name is known before anything is read.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers, security and further librdkafka options.
    reading : `Reading`
        What to read.
    on_trouble : callable, optional
        Told of failures that pass by themselves; they are logged by default.

    Raises
    ------
    KafkaConfigurationError
        If the topic does not exist, or Kafka refuses this client.
    KafkaUnavailableError
        If no broker answers.
    """

    def __init__(
        self, kafka: KafkaSettings, reading: Reading, on_trouble: Callable[[StreamAssocError], None] = warn
    ) -> None:
        self._reading = reading
        self._on_trouble = on_trouble
        self._doing = f"reading {reading.topic}"
        self._brokers = kafka.bootstrap_servers
        self._ends: dict[int, int] = {}
        self._held: frozenset[int] = frozenset()
        self._waited_seconds = 0.0
        # librdkafka wants a group even of a consumer that joins none.
        options = consumer_options(
            kafka.consumer_options(), reading.group or f"stream-assoc-{os.getpid()}", None, kafka.max_message_bytes
        )
        # Transactions leave marks, so an offset below the end may hold no message.
        options |= {"allow.auto.create.topics": False, "enable.partition.eof": True}
        if reading.until_end:
            # The broker answers that there is no more only when it has waited so long for more.
            options.setdefault("fetch.wait.max.ms", END_WAIT_MS)
        with self._translated():
            self._consumer = Consumer(options)
        try:
            self._begin()
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def at_end(self) -> bool:
        """Whether all has been read that was there at the beginning; never when reading goes on for ever."""
        return self._reading.until_end and not self._ends

    @property
    def behind(self) -> frozenset[int]:
        """Partitions of whose backlog, what was there when reading began, something is still to come.

        With a group there is none: which partitions it has changes.
        """
        return frozenset(self._ends)

    def hold(self, partitions: frozenset[int]) -> None:
        """Read nothing of these partitions until told otherwise."""
        topic = self._reading.topic
        if held := partitions - self._held:
            with self._translated():
                self._consumer.pause([TopicPartition(topic, one) for one in held])
        if released := self._held - partitions:
            with self._translated():
                self._consumer.resume([TopicPartition(topic, one) for one in released])
        self._held = partitions

    def read(self, seconds: float) -> list[InputMessage]:
        """Return what has arrived, waiting at most that long for the first message.

        Raises
        ------
        StreamError
            If Kafka refuses this client, or ends its reading for good.
        KafkaUnavailableError
            If there must be more before the end, and nothing has come for
            `SILENCE_SECONDS`.
        """
        if self.at_end:
            return []
        begin = time.monotonic()
        with self._translated():
            first = self._consumer.poll(seconds)
            arrived = [] if first is None else [first, *self._consumer.consume(CHUNK_MESSAGES, timeout=0)]
        self._waited_seconds = 0.0 if arrived else self._waited_seconds + time.monotonic() - begin
        if self._reading.until_end and self._waited_seconds > SILENCE_SECONDS:
            raise KafkaUnavailableError(f"{self._doing}: nothing for {SILENCE_SECONDS:.0f} s; is the broker up?")
        messages = [input_message(message) for message in arrived if self._is_wanted(message)]
        return [message for message in messages if self._is_recent(message)]

    def done_with(self, position: InputPosition) -> None:
        """Note that the group need not be given this message again; without a group nothing is noted."""
        if self._reading.group is None:
            return
        place = TopicPartition(position.topic, position.partition, position.offset + 1)
        try:
            self._consumer.store_offsets(offsets=[place])
        except KafkaException as exception:
            # The partition has gone to another member, which reads the message again.
            if error_of(exception).code() != KafkaError._STATE:
                raise translate(error_of(exception), self._doing) from exception

    def commit(self) -> None:
        """Tell the broker what the group is done with."""
        if self._reading.group is None:
            return
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException as exception:
            code = error_of(exception).code()
            if code in MOVED_CODES:
                self._on_trouble(translate(error_of(exception), self._doing))
            elif code != KafkaError._NO_OFFSET:
                raise translate(error_of(exception), self._doing) from exception

    def close(self) -> None:
        """Leave, with what is done told to the group."""
        try:
            self.commit()
        finally:
            self._consumer.close()

    def begin_offsets(self) -> dict[int, int]:
        """Return the offset each partition is read from; empty with a group."""
        return dict(self._begins)

    def _begin(self) -> None:
        topic = self._reading.topic
        partitions = self.partitions()
        self._begins: dict[int, int] = {}
        if self._reading.group is not None:
            with self._translated():
                self._consumer.subscribe([topic], on_assign=self._take_up)
            return
        with self._translated():
            chosen = self._reading.partitions
            positions = [self._position(one) for one in partitions if chosen is None or one in chosen]
            self._begins = {one.partition: one.offset for one in positions}
            self._consumer.assign(positions)

    def _take_up(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Go on where the group has been, and where it has not been begin as asked."""
        known = consumer.committed(partitions, timeout=ANSWER_SECONDS)
        positions = [one if one.offset >= 0 else self._position(one.partition) for one in known]
        if consumer.memberid() and positions:
            consumer.incremental_assign(positions)

    def _position(self, partition: int) -> TopicPartition:
        """Return where a partition is to be read from, and note where it ends now."""
        topic, start = self._reading.topic, self._reading.start
        place = TopicPartition(topic, partition)
        low, high = self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
        if isinstance(start, Mapping):
            offset = max(low, start.get(partition, low))
        elif start == "beginning":
            offset = low
        elif start == "latest":
            offset = high
        else:
            asked = TopicPartition(topic, partition, start)
            (found,) = self._consumer.offsets_for_times([asked], timeout=ANSWER_SECONDS)
            offset = high if found.offset in (OFFSET_END, -1) else found.offset
        if self._reading.group is None and offset < high:
            self._ends[partition] = high
        return TopicPartition(topic, partition, offset)

    def _is_wanted(self, message: Message) -> bool:
        partition, error = message.partition(), message.error()
        if error is None:
            end = self._ends.get(partition or 0)
            offset = message.offset() or 0
            if end is not None and offset + 1 >= end:
                del self._ends[partition or 0]
            return not self._reading.until_end or (end is not None and offset < end)
        if error.code() == KafkaError._PARTITION_EOF:
            self._ends.pop(partition or 0, None)
            return False
        failure = translate(error, self._doing)
        if not isinstance(failure, RetriableError):
            raise failure
        self._on_trouble(failure)
        return False

    def _is_recent(self, message: InputMessage) -> bool:
        """Tell whether a message is of the time asked for.

        The broker tells where the first one is, or the mark of the first later
        transaction; where clocks differ, earlier ones may follow.
        """
        start = self._reading.start
        return not isinstance(start, int) or self._reading.group is not None or not 0 <= message.timestamp_ms < start

    def partitions(self) -> list[int]:
        """Return the numbers of the topic's partitions."""
        topic = self._reading.topic
        try:
            with told_when_slow(lambda: log.warning("waiting for Kafka at %s; %s", self._brokers, KAFKA_HINT)):
                found = self._consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
        except KafkaException as exception:
            failure: Any = translate(error_of(exception), self._doing)
            if isinstance(failure, KafkaUnavailableError):
                raise KafkaUnavailableError(
                    f"Kafka at {self._brokers}: no broker answers within {ANSWER_SECONDS:.0f} s: "
                    f"{error_of(exception).str()}; {KAFKA_HINT}"
                ) from None
            raise failure from exception
        if found.error is not None and found.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise translate(found.error, self._doing)
        if found.error is not None or not found.partitions:
            raise KafkaConfigurationError(
                f"there is no topic {topic}; check its name in [kafka], or run `stream-assoc topics init`"
            )
        return sorted(found.partitions)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as exception:
            raise translate(error_of(exception), self._doing) from exception
