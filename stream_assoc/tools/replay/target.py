"""The topic a recorded replay goes to, looked at through Kafka."""

from collections.abc import Iterator

from stream_assoc.core.model.messages import InputMessage
from stream_assoc.messaging.kafka.topic_reader import Reading, Start, TopicReader
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.stamp import Stamp, stamp_of

_CLOCKS_APART_MS = 60_000
"""How far the clock of the machine that resumes may be ahead of the one that was killed."""
_POLL_SECONDS = 0.5


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
        while not reader.at_end:
            for message in reader.read(_POLL_SECONDS):
                stamp = stamp_of(message.headers)
                if stamp is not None and stamp.run == run:
                    yield message, stamp
