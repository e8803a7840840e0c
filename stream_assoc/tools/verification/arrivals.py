"""What has arrived: the messages of a replay on its topic, and the answers to them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.dead_letters import DeadLetterRecord, read_dead_letter
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.messaging.kafka.topic_reader import Reading, Start, TopicReader
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.manifest import Manifest
from stream_assoc.tools.replay.topics import messages_of_run

_CLOCKS_APART_MS: Final = 60_000
"""How far the clocks of the producer and of the daemon may be apart."""
_POLL_SECONDS: Final = 0.5
_LOOK_EVERY_SECONDS: Final = 1.0


class Sent(NamedTuple):
    """A message of the replay on its topic: when it was due and when it was sent, seconds since 1970 UTC."""

    step: int
    due: float
    sent: float


class Place(NamedTuple):
    """Where a message lies on the input topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Metrics of a batch, and when they were published, seconds since 1970 UTC."""

    metrics: AssociationMetrics
    published: float


@dataclass(slots=True)
class Arrivals:
    """What is on the topics.

    Attributes
    ----------
    sent : `dict` [`Place`, `Sent`]
        The messages of the replay that are on its topic.
    answers : `dict` [`Place`, `list` [`Answer`]]
        Metrics by the message they answer; more than one is one too many.
    letters : `dict` [`Place`, `list` [`DeadLetterRecord`]]
        Dead letters by the message they hold.
    """

    sent: dict[Place, Sent] = field(default_factory=dict)
    answers: dict[Place, list[Answer]] = field(default_factory=dict)
    letters: dict[Place, list[DeadLetterRecord]] = field(default_factory=dict)

    @property
    def n_heard(self) -> int:
        """Messages that were answered, one way or the other."""
        return len(self.answers.keys() | self.letters.keys())


def sent_of(kafka: KafkaSettings, manifest: Manifest) -> dict[Place, Sent]:
    """Return the messages of a replay that are on its topic."""
    return {
        Place(message.position.partition, message.position.offset): Sent(
            stamp.step, stamp.due, message.timestamp_ms / 1000.0
        )
        for message, stamp in messages_of_run(kafka, manifest.topic, manifest.begin_offsets, manifest.run)
    }


def await_answers(
    kafka: KafkaSettings,
    manifest: Manifest,
    is_complete: Callable[[Arrivals], bool],
    *,
    patience_seconds: float = 0.0,
) -> Arrivals:
    """Return what has arrived of a replay and its answers, waiting for what is missing.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers, topics, registry.
    manifest : `Manifest`
        Of the replay.
    is_complete : callable
        Tells whether nothing is missing any more.
    patience_seconds : `float`
        How long to go on without anything new.
    """
    arrivals = Arrivals(sent_of(kafka, manifest))
    start = max(0, manifest.began_ms - _CLOCKS_APART_MS)
    metrics, letters = _Tail(kafka, kafka.metrics_topic, start), _Tail(kafka, kafka.dead_letter_topic, start)
    heard = time.monotonic()
    while True:
        before = arrivals.n_heard
        _add_metrics(arrivals, metrics.read(), kafka, manifest.topic)
        _add_letters(arrivals, letters.read(), kafka, manifest.topic)
        if is_complete(arrivals):
            return arrivals
        now = time.monotonic()
        heard = now if arrivals.n_heard > before else heard
        if now - heard >= patience_seconds:
            return arrivals
        time.sleep(_LOOK_EVERY_SECONDS)


class _Tail:
    """Reads a topic to its end, and the next time from there."""

    def __init__(self, kafka: KafkaSettings, topic: str, start: Start) -> None:
        self._kafka = kafka
        self._topic = topic
        self._start = start
        self._next: dict[int, int] = {}

    def read(self) -> Iterator[InputMessage]:
        """Yield what has come since the last time."""
        start: Start = self._next or self._start
        with TopicReader(self._kafka, Reading(self._topic, start, until_end=True)) as reader:
            self._next = {**reader.begin_offsets(), **self._next}
            while not reader.at_end:
                for message in reader.read(_POLL_SECONDS):
                    self._next[message.position.partition] = message.position.offset + 1
                    yield message


def _add_metrics(arrivals: Arrivals, messages: Iterator[InputMessage], kafka: KafkaSettings, topic: str) -> None:
    schemas = registry_of(kafka)
    for message in messages:
        try:
            metrics = decode_metrics(message.value, schemas)
        except DecodeError:
            # Another's message: it answers none of ours.
            continue
        if metrics.inputTopic == topic and metrics.inputPartition is not None and metrics.inputOffset is not None:
            place = Place(metrics.inputPartition, metrics.inputOffset)
            if place in arrivals.sent:
                arrivals.answers.setdefault(place, []).append(Answer(metrics, message.timestamp_ms / 1000.0))


def _add_letters(arrivals: Arrivals, messages: Iterator[InputMessage], kafka: KafkaSettings, topic: str) -> None:
    schemas = registry_of(kafka)
    for message in messages:
        try:
            record = read_dead_letter(message, schemas).record
        except DecodeError:
            continue
        place = Place(record.partition, record.offset)
        if record.topic == topic and place in arrivals.sent:
            arrivals.letters.setdefault(place, []).append(record)
