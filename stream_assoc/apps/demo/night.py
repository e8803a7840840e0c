"""Sending a night to the daemon and reading its answers."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer

from stream_assoc.apps.demo.stage import DaemonProcess, DemoError
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.dead_letters import DeadLetter, read_dead_letter
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.kafka.client import consumer_options
from stream_assoc.messaging.kafka.errors import translate
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.settings import Settings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.simulation.files import CAPTURE_NAME

AHEAD_BYTES: Final = 2 * 1024 * 1024
"""Most bytes sent and not yet answered: the mock cluster keeps 5 MiB a partition,
then silently drops the oldest message."""

SILENCE_SECONDS: Final = 120.0
"""Longest time without an answer. The first batch on a machine waits for numba to
compile, which takes about half of this time on a slow machine."""


_MESSAGES: Final = 5000


@dataclass(frozen=True, slots=True)
class NightReport:
    """What a subscriber saw of the night.

    Attributes
    ----------
    settings : `Settings`
        Settings of the daemon.
    n_sent : `int`
        Batches sent.
    seconds : `float`
        From the daemon's first answer to its last.
    metrics : `list` [`AssociationMetrics`]
    dead_letters : `list` [`DeadLetter`]
    n_objects, n_forced_sources : `int`
        Object versions and forced sources published.
    """

    settings: Settings
    n_sent: int
    seconds: float
    metrics: list[AssociationMetrics]
    dead_letters: list[DeadLetter]
    n_objects: int
    n_forced_sources: int


class OutputsSubscriber:
    """Reads updated objects, forced sources, metrics and dead letters as any subscriber would.

    Parameters
    ----------
    kafka : `KafkaSettings`
        Brokers and topic names.

    Attributes
    ----------
    metrics : `list` [`AssociationMetrics`]
        One for each processed batch.
    dead_letters : `list` [`DeadLetter`]
        One for each message that could not be processed.
    n_objects, n_forced_sources : `int`
        Object versions and forced sources seen.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        options = consumer_options(kafka.consumer_options(), "demo-subscriber", None, kafka.max_message_bytes)
        self._consumer = Consumer(options)
        self._consumer.subscribe(
            [kafka.objects_topic, kafka.forced_sources_topic, kafka.metrics_topic, kafka.dead_letter_topic]
        )
        self.metrics: list[AssociationMetrics] = []
        self.dead_letters: list[DeadLetter] = []
        self.n_objects = 0
        self.n_forced_sources = 0

    def read(self, timeout_seconds: float) -> None:
        """Read all messages that have arrived; wait at most this long for the first."""
        first = self._consumer.poll(timeout_seconds)
        if first is None:
            return
        for message in (first, *self._consumer.consume(_MESSAGES, timeout=0)):
            if (error := message.error()) is not None:
                raise translate(error, "reading the output topics")
            topic, value = message.topic(), message.value()
            if topic == self._kafka.objects_topic:
                self.n_objects += 1
            elif topic == self._kafka.forced_sources_topic:
                self.n_forced_sources += 1
            elif topic == self._kafka.metrics_topic:
                self.metrics.append(decode_metrics(value))
            else:
                dead_letter = OutputMessage(
                    self._kafka.dead_letter_topic, message.key(), value, tuple(message.headers() or ())
                )
                self.dead_letters.append(read_dead_letter(dead_letter))

    @property
    def n_answers(self) -> int:
        """Batches answered, by metrics or by a dead letter."""
        return len(self.metrics) + len(self.dead_letters)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


def play_night(folder: Path, settings: Settings, progress: Callable[[int], None]) -> NightReport:
    """Send a simulated night to a daemon and wait until every batch is answered.

    Parameters
    ----------
    folder : `pathlib.Path`
        Holds the simulated night, and its images if it has any; the daemon's log is written there.
    settings : `Settings`
        Settings of the services, from `~stream_assoc.apps.demo.stage.services` in the same folder.
    progress : callable
        Called with the number of batches answered.

    Raises
    ------
    DemoError
        If the daemon ends, or does not answer for `SILENCE_SECONDS`.
    """
    subscriber = OutputsSubscriber(settings.kafka)
    producer = PlainProducer(settings.kafka.producer_options())
    daemon = DaemonProcess(folder)
    try:
        n_sent, seconds = _converse(folder, producer, subscriber, daemon, progress)
        daemon.stop()
        subscriber.read(1.0)
    finally:
        daemon.kill()
        producer.close()
        subscriber.close()
    return NightReport(
        settings,
        n_sent,
        seconds,
        subscriber.metrics,
        subscriber.dead_letters,
        subscriber.n_objects,
        subscriber.n_forced_sources,
    )


def _converse(
    folder: Path,
    producer: PlainProducer,
    subscriber: OutputsSubscriber,
    daemon: DaemonProcess,
    progress: Callable[[int], None],
) -> tuple[int, float]:
    """Send as fast as answers come; return the number sent and the time from first answer to last."""
    waiting = deque(event.message for event in read_capture(folder / CAPTURE_NAME))
    n_total = len(waiting)
    unanswered: deque[int] = deque()
    first_answer = 0.0
    last_heard = time.monotonic()
    while subscriber.n_answers < n_total:
        while waiting and (not unanswered or sum(unanswered) + len(waiting[0].value or b"") <= AHEAD_BYTES):
            message = waiting.popleft()
            producer.send([message])
            unanswered.append(len(message.value or b""))
        producer.flush()
        before = subscriber.n_answers
        subscriber.read(0.1)
        daemon.check()
        heard = subscriber.n_answers - before
        for _ in range(heard):
            unanswered.popleft()
        if heard:
            last_heard = time.monotonic()
            first_answer = first_answer or last_heard
            progress(subscriber.n_answers)
        elif time.monotonic() - last_heard > SILENCE_SECONDS:
            raise DemoError(
                f"no answer for {SILENCE_SECONDS:.0f} s with {len(unanswered)} batches sent and "
                f"{n_total - subscriber.n_answers} of {n_total} unanswered"
            )
    return n_total, last_heard - first_answer
