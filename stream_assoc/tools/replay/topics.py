"""Topics of a replay, read through Kafka: captured into a file, and searched for the messages of a run."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.core.model.times import checked_mjd, mjd_tai_of_unix
from stream_assoc.messaging.avro.batch_header import batch_prefix
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.messaging.kafka.topic_reader import Reading, Start, TopicReader
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.messages import Stamp, TimedMessage, stamp_of

_POLL_SECONDS: Final = 0.5
_CLOCKS_APART_MS: Final = 60_000
"""How far the clock of the machine that resumes may be ahead of the one that was killed."""


def capture_topic(
    kafka: KafkaSettings,
    topic: str,
    path: Path,
    start: Start = "beginning",
    *,
    schemas: WriterSchemas | None = None,
    progress: Callable[[int], None] = lambda number: None,
) -> int:
    """Write what is on a topic now into a capture file.

    Key, value and headers are kept as they are. The partitions are merged by
    the time of publication, and each keeps its order. A batch is captured
    under the time it was observed, any other message under that of its
    publication.

    Parameters
    ----------
    kafka : `KafkaSettings`
    topic : `str`
    path : `pathlib.Path`
        Overwritten.
    start : `Start`
        Where to begin.
    schemas : `WriterSchemas`, optional
        Where the schemas of batches are found.
    progress : callable, optional
        Told the number of messages written.

    Returns
    -------
    n_messages : `int`

    Raises
    ------
    StreamError
        If the topic cannot be read.
    """
    with CaptureWriter(path) as capture:
        for message in messages_on(kafka, topic, start):
            capture.write(TimedMessage(observed(message, schemas), _as_it_was(message)))
            progress(capture.n_messages)
        return capture.n_messages


def observed(message: InputMessage, schemas: WriterSchemas | None = None) -> float:
    """Return when a batch was observed, or when any other message was published, MJD TAI.

    A batch that names an impossible time has that of its publication: replays are paced by it.
    """
    try:
        return checked_mjd(batch_prefix(message.value, schemas).midpointMjdTai, "midpointMjdTai")
    except (DecodeError, ValueError):
        return mjd_tai_of_unix(max(0, message.timestamp_ms) / 1000.0)


def _as_it_was(message: InputMessage) -> OutputMessage:
    return OutputMessage(message.position.topic, message.key, message.value, message.headers)


def messages_on(kafka: KafkaSettings, topic: str, start: Start) -> Iterator[InputMessage]:
    """Yield what is on a topic now, the partitions merged by the time of publication.

    Raises
    ------
    StreamError
        If the topic cannot be read.
    """
    with ExitStack() as stack:
        # One reader a partition, so that none runs ahead of the others into memory.
        def reader_of(partition: int) -> TopicReader:
            reading = Reading(topic, start, until_end=True, partitions=frozenset({partition}))
            return stack.enter_context(TopicReader(kafka, reading))

        first = reader_of(0)
        readers = [first, *(reader_of(partition) for partition in first.partitions() if partition != 0)]
        yield from heapq.merge(*map(_messages, readers), key=lambda message: message.timestamp_ms)


def _messages(reader: TopicReader) -> Iterator[InputMessage]:
    while not reader.at_end:
        yield from reader.read(_POLL_SECONDS)


class KafkaTarget:
    """`~stream_assoc.tools.replay.recording.Target` on a Kafka topic.

    Parameters
    ----------
    kafka : `KafkaSettings`
    topic : `str`
        A topic that exists.
    """

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic

    def end_offsets(self) -> dict[int, int]:
        """Return the end of each partition."""
        with TopicReader(self._kafka, Reading(self._topic, "latest")) as reader:
            return reader.begin_offsets()

    def steps_written(self, run: str, since_ms: int) -> set[int]:
        """Return the steps of a run that are on the topic, of those published since a time."""
        start = max(0, since_ms - _CLOCKS_APART_MS)
        return {stamp.step for _, stamp in messages_of_run(self._kafka, self._topic, start, run)}


def messages_of_run(kafka: KafkaSettings, topic: str, start: Start, run: str) -> Iterator[tuple[InputMessage, Stamp]]:
    """Yield the messages of a run that are on its topic now, and their stamps."""
    with TopicReader(kafka, Reading(topic, start, until_end=True)) as reader:
        for message in _messages(reader):
            stamp = stamp_of(message.headers)
            if stamp is not None and stamp.run == run:
                yield message, stamp
