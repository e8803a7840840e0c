"""Reading a topic on a real broker is tested in tests/subscription; here what a broker that falls silent leads to."""

import pytest
from confluent_kafka import KafkaError

from stream_assoc.messaging.kafka import topic_reader
from stream_assoc.messaging.kafka.errors import KafkaConfigurationError, KafkaUnavailableError
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.settings.kafka import KafkaSettings


class Metadata:
    error = None
    partitions = (0, 1)


class SilentConsumer:
    """A consumer of a topic with ten messages in each partition, none of which ever comes."""

    closed = False

    def __init__(self, options) -> None:
        self.options = options

    def list_topics(self, topic, timeout):
        self.topics = {topic: Metadata}
        return self

    def get_watermark_offsets(self, place, timeout):
        return 5, 10 + 5

    def assign(self, positions) -> None:
        self.positions = {one.partition: one.offset for one in positions}

    def poll(self, seconds) -> None:
        return None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch):
    made = []

    def make(options):
        made.append(SilentConsumer(options))
        return made[-1]

    monkeypatch.setattr(topic_reader, "Consumer", make)
    return made


def test_a_broker_that_falls_silent_ends_a_reading_that_has_an_end(consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "SILENCE_SECONDS", -1.0)
    with (
        TopicReader(KafkaSettings(), Reading("t", "beginning", until_end=True)) as reader,
        pytest.raises(KafkaUnavailableError, match="is the broker up"),
    ):
        reader.read(0.0)
    assert consumer[0].closed


def test_a_reading_without_an_end_waits(consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "SILENCE_SECONDS", -1.0)
    with TopicReader(KafkaSettings(), Reading("t", "beginning")) as reader:
        assert [reader.read(0.0) for _ in range(3)] == [[], [], []]
        assert not reader.at_end


@pytest.mark.parametrize(
    ("start", "offsets"),
    [
        ("beginning", {0: 5, 1: 5}),
        ("latest", {0: 15, 1: 15}),
        # What the topic keeps no longer is begun with its oldest; so is a partition that is not named.
        ({0: 2, 1: 9}, {0: 5, 1: 9}),
        ({1: 12}, {0: 5, 1: 12}),
    ],
)
def test_where_a_reading_begins(consumer, start, offsets) -> None:
    with TopicReader(KafkaSettings(), Reading("t", start)) as reader:
        assert reader.begin_offsets() == consumer[0].positions == offsets


def test_at_the_end_there_is_nothing_to_wait_for(consumer) -> None:
    with TopicReader(KafkaSettings(), Reading("t", "latest", until_end=True)) as reader:
        assert reader.at_end
    with TopicReader(KafkaSettings(), Reading("t", "beginning", until_end=True, partitions=frozenset({7}))) as reader:
        assert reader.at_end
        assert reader.partitions() == [0, 1]


def test_every_reading_sees_committed_messages_only(consumer) -> None:
    with TopicReader(KafkaSettings(), Reading("t")):
        options = consumer[0].options
    assert options["isolation.level"] == "read_committed"
    assert options["allow.auto.create.topics"] is False
    assert options["enable.auto.commit"] is False


def test_a_topic_that_is_missing_is_told_and_the_client_closed(consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metadata, "error", KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    with pytest.raises(KafkaConfigurationError, match="there is no topic t"):
        TopicReader(KafkaSettings(), Reading("t"))
    assert consumer[0].closed
