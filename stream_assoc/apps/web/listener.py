"""The metrics and the dead letters, read as any subscriber reads them.

The listener is in no consumer group: it takes no message from anyone and
commits no offset. It asks for the lag under the name of the daemons' group,
without joining that group.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_assoc.apps.web.feed import Feed
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.exceptions import RetriableError, StreamAssocError
from stream_assoc.messaging.avro.dead_letters import is_note, read_dead_letter
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.messaging.kafka.client import consumer_options
from stream_assoc.messaging.kafka.errors import error_of, translate
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.messaging.avro.wire import WriterSchemas

log = structlog.get_logger(__name__)

SERVICE: Final = "kafka"
_MESSAGES: Final = 500
_POLL_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 2.0
_LAG_SECONDS: Final = 2.0
_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 10.0

_Places: TypeAlias = set[tuple[str | None, int | None]]


class Listener:
    """Fills a feed from Kafka until stopped; waits for a broker that is unavailable.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers and topic names.
    feed : `Feed`
        The feed to fill.
    history : `int`
        Number of earlier messages to read from each partition.
    """

    def __init__(self, kafka: KafkaSettings, feed: Feed, history: int) -> None:
        self._kafka = kafka
        self._feed = feed
        self._history = history
        self._stop = threading.Event()
        self._next: dict[tuple[str | None, int | None], int] = {}
        self._answered: dict[tuple[str | None, int | None], int] = {}

    def stop(self) -> None:
        """End `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Read until stopped."""
        wait_seconds = _FIRST_WAIT_SECONDS
        while not self._stop.is_set():
            try:
                schemas = registry_of(self._kafka)
                with self._consumer() as consumer, self._group() as group:
                    self._assign(consumer)
                    self._feed.set_service(SERVICE, is_up=True)
                    wait_seconds = _FIRST_WAIT_SECONDS
                    self._read(consumer, group, schemas)
            except StreamAssocError as error:
                self._feed.set_service(SERVICE, is_up=False, message=str(error))
                log.warning("dashboard", error=str(error), wait_seconds=wait_seconds)
            self._stop.wait(wait_seconds)
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

    def _read(self, consumer: Consumer, group: Consumer, schemas: "WriterSchemas | None") -> None:
        earlier: list[AssociationMetrics] | None = []
        unfinished: _Places = {(one.topic, one.partition) for one in consumer.assignment()}
        look_at = 0.0
        while not self._stop.is_set():
            taken = [
                self._take(message, unfinished, schemas)
                for message in consumer.consume(_MESSAGES, timeout=_POLL_SECONDS)
            ]
            batches = [metrics for metrics in taken if metrics is not None]
            if earlier is None:
                self._feed.add_batches(batches)
            else:
                # Kafka delivers one partition after the other; the history goes out in order of time.
                earlier += batches
                if not unfinished:
                    earlier.sort(key=lambda one: one.timeProcessedMjdTai)
                    self._feed.add_batches(earlier)
                    earlier = None
            if time.monotonic() >= look_at:
                self._measure_lag(group)
                look_at = time.monotonic() + _LAG_SECONDS

    def _take(
        self, message: Message, unfinished: _Places, schemas: "WriterSchemas | None"
    ) -> AssociationMetrics | None:
        """Return the metrics in a message, if it has any; record whatever else it says."""
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard((message.topic(), message.partition()))
                return None
            failure = translate(error, "reading the metrics topic")
            if not isinstance(failure, RetriableError):
                raise failure
            self._feed.set_service(SERVICE, is_up=False, message=f"{failure}; still trying")
            return None
        offset = message.offset()
        if offset is not None:
            self._next[message.topic(), message.partition()] = offset + 1
        try:
            if message.topic() == self._kafka.metrics_topic:
                metrics = decode_metrics(message.value(), schemas)
                self._answer(metrics.inputTopic, metrics.inputPartition, metrics.inputOffset)
                return metrics
            self._take_dead_letter(message)
        except DecodeError as undecodable:
            log.warning("dashboard", topic=message.topic(), offset=message.offset(), error=str(undecodable))
        return None

    def _take_dead_letter(self, message: Message) -> None:
        topic = self._kafka.dead_letter_topic
        dead_letter = OutputMessage(topic, message.key(), message.value(), tuple(message.headers() or ()))
        if is_note(dead_letter.headers):
            return
        record = read_dead_letter(dead_letter).record
        self._answer(record.topic, record.partition, record.offset)
        self._feed.add_dead_letter(
            {
                "reason": record.reason,
                "message": record.message,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "time": record.time,
            }
        )

    def _answer(self, topic: str | None, partition: int | None, offset: int | None) -> None:
        """Record an answered input message: librdkafka's mock cluster keeps no offsets of transactions."""
        if offset is not None:
            place = (topic, partition)
            self._answered[place] = max(self._answered.get(place, 0), offset + 1)

    def _measure_lag(self, group: Consumer) -> None:
        """Record how many messages no daemon has answered yet, and whether the broker answers."""
        try:
            partitions = _partitions(group, self._kafka.input_topic)
            committed = group.committed(partitions, timeout=_ANSWER_SECONDS)
            lag = 0
            for one in committed:
                low, high = group.get_watermark_offsets(one, timeout=_ANSWER_SECONDS)
                answered = self._answered.get((one.topic, one.partition), 0)
                lag += max(0, high - max(low, one.offset, answered))
        except KafkaException as error:
            failure = translate(error_of(error), "asking for the lag")
            self._feed.set_service(SERVICE, is_up=False, message=str(failure))
            return
        except _NoTopicError:
            lag = 0
        self._feed.set_state("lag", {"messages": lag})
        self._feed.set_service(SERVICE, is_up=True)

    def _assign(self, consumer: Consumer) -> None:
        try:
            places = [
                TopicPartition(one.topic, one.partition, self._start(consumer, one))
                for topic in (self._kafka.metrics_topic, self._kafka.dead_letter_topic)
                for one in _partitions(consumer, topic)
            ]
        except KafkaException as error:
            raise translate(error_of(error), "looking for the metrics topic") from error
        consumer.assign(places)

    def _start(self, consumer: Consumer, partition: TopicPartition) -> int:
        """Return the first offset to read: the next one after an interruption, else the beginning of the history."""
        low, high = consumer.get_watermark_offsets(partition, timeout=_ANSWER_SECONDS)
        return self._next.get((partition.topic, partition.partition), max(low, high - self._history))

    def _consumer(self) -> contextlib.AbstractContextManager[Consumer]:
        return _closing(self._options(f"stream-assoc-dashboard-{os.getpid()}") | {"enable.partition.eof": True})

    def _group(self) -> contextlib.AbstractContextManager[Consumer]:
        return _closing(self._options(self._kafka.group_id))

    def _options(self, group_id: str) -> dict[str, object]:
        kafka = self._kafka
        options = consumer_options(kafka.consumer_options(), group_id, None, kafka.max_message_bytes)
        return {**options, "allow.auto.create.topics": False}


class _NoTopicError(RetriableError):
    """A topic does not exist yet."""


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    found = consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic]
    if found.error is not None or not found.partitions:
        raise _NoTopicError(
            f"there is no topic {topic}; check its name in [kafka], or run `stream-assoc topics init`"
        )
    return [TopicPartition(topic, partition) for partition in sorted(found.partitions)]


@contextlib.contextmanager
def _closing(options: dict[str, object]) -> Iterator[Consumer]:
    consumer = Consumer(options)
    try:
        yield consumer
    finally:
        consumer.close()
