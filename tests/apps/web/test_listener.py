"""The metrics and the dead letters of a real broker."""

import json
import threading
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest

from stream_assoc.apps.web.feed import Feed
from stream_assoc.apps.web.listener import Listener
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.dead_letters import dead_letter
from stream_assoc.messaging.avro.output_encoder import AvroOutputEncoder, OutputTopics
from stream_assoc.messaging.exceptions import DecodeError, PublishError
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.messaging.kafka.topics import ensure_topics
from stream_assoc.settings.kafka import KafkaSettings
from tests.apps.web.builders import BIG, metrics

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 120.0


@pytest.fixture
def kafka(kafka_bootstrap: str):
    name = uuid4().hex
    return KafkaSettings(
        bootstrap_servers=kafka_bootstrap,
        group_id=f"{name}-group",
        input_topic=f"{name}.in",
        objects_topic=f"{name}.objects",
        metrics_topic=f"{name}.metrics",
        dead_letter_topic=f"{name}.dlq",
        partitions=2,
    )


def send(kafka, *messages) -> None:
    producer = PlainProducer(kafka.producer_options())
    producer.send(messages)
    producer.flush()
    producer.close()


def encoded(kafka, one: AssociationMetrics) -> OutputMessage:
    return AvroOutputEncoder(OutputTopics(kafka.objects_topic, kafka.metrics_topic)).encode_metrics(one)


def letter(kafka, offset):
    message = InputMessage(InputPosition(kafka.input_topic, 0, offset), -1, None, b"what it was")
    return dead_letter(
        message, DecodeError("this is no batch", "undecodable"), kafka.dead_letter_topic, time_ms=1_700_000_000_000
    )


@contextmanager
def listening(kafka, history=100):
    feed = Feed(1000)
    listener = Listener(kafka, feed, history)
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    try:
        yield feed
    finally:
        listener.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def until(feed, is_wanted):
    """Return what the feed tells once it is as wanted."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while True:
        told = json.loads(feed.hello()[0])
        if is_wanted(told):
            return told
        assert time.monotonic() < deadline, told
        pause.wait(0.02)


def test_history_comes_in_order_of_time_and_then_what_is_new(kafka) -> None:
    ensure_topics(kafka)
    send(kafka, *(encoded(kafka, metrics(BIG + visit)) for visit in (3, 1, 2, 5, 4)))
    with listening(kafka) as feed:
        told = until(feed, lambda told: len(told["batches"]) == 5)
        times = [one["timeProcessedMjdTai"] for one in told["batches"]]
        assert times == sorted(times)
        assert told["states"]["services"]["kafka"]["isUp"]
        send(kafka, encoded(kafka, metrics(BIG + 6)))
        told = until(feed, lambda told: len(told["batches"]) == 6)
        assert told["batches"][-1]["visit"] == str(BIG + 6)


def test_of_a_long_history_the_end_is_read(kafka) -> None:
    ensure_topics(kafka)
    send(kafka, *(encoded(kafka, metrics(visit)) for visit in range(40)))
    with listening(kafka, history=3) as feed:
        told = until(feed, lambda told: told["states"]["services"].get("kafka", {}).get("isUp") and told["batches"])
        assert len(told["batches"]) <= 3 * kafka.partitions


def test_dead_letters_and_what_cannot_be_read(kafka) -> None:
    ensure_topics(kafka)
    broken = OutputMessage(kafka.metrics_topic, None, b"no metrics")
    send(kafka, broken, letter(kafka, 5), encoded(kafka, metrics(7)))
    with listening(kafka) as feed:
        told = until(feed, lambda told: told["batches"] and told["states"]["deadLetters"]["count"])
    letters = told["states"]["deadLetters"]
    assert letters["reasons"] == {"undecodable": 1}
    (latest,) = letters["latest"]
    assert (latest["message"], latest["offset"], latest["topic"]) == ("this is no batch", "5", kafka.input_topic)


def test_lag_is_what_no_daemon_has_answered(kafka) -> None:
    ensure_topics(kafka)
    send(kafka, *(OutputMessage(kafka.input_topic, b"same key", b"x") for _ in range(10)))
    with listening(kafka) as feed:
        until(feed, lambda told: told["states"]["lag"] == {"messages": 10})
        partition = next(number for number in range(kafka.partitions) if _n_messages(kafka, number) == 10)
        answered = metrics(1, inputTopic=kafka.input_topic, inputPartition=partition, inputOffset=6)
        send(kafka, encoded(kafka, answered))
        until(feed, lambda told: told["states"]["lag"] == {"messages": 3})


def test_topics_that_come_later_are_waited_for(kafka) -> None:
    with listening(kafka) as feed:
        told = until(feed, lambda told: "kafka" in told["states"]["services"])
        assert "topics init" in told["states"]["services"]["kafka"]["message"]
        ensure_topics(kafka)
        send(kafka, encoded(kafka, metrics(1)))
        told = until(feed, lambda told: told["batches"])
        assert told["states"]["services"]["kafka"]["isUp"]


def test_after_an_interruption_nothing_is_told_twice(kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_topics(kafka)
    send(kafka, encoded(kafka, metrics(1)), letter(kafka, 0))
    interrupted = threading.Event()
    measure = Listener._measure_lag

    def measure_or_fail(self, group) -> None:
        if not interrupted.is_set() and json.loads(self._feed.hello()[0])["batches"]:
            interrupted.set()
            raise PublishError("the connection is lost for good")
        measure(self, group)

    monkeypatch.setattr(Listener, "_measure_lag", measure_or_fail)
    with listening(kafka) as feed:
        until(feed, lambda _: interrupted.is_set())
        send(kafka, encoded(kafka, metrics(2)))
        told = until(feed, lambda told: len(told["batches"]) >= 2 and told["states"]["services"]["kafka"]["isUp"])
    assert [one["visit"] for one in told["batches"]] == ["1", "2"]
    assert told["states"]["deadLetters"]["count"] == 1


def _n_messages(kafka, partition):
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({**kafka.consumer_options(), "group.id": "none"})
    _, high = consumer.get_watermark_offsets(TopicPartition(kafka.input_topic, partition), timeout=30)
    consumer.close()
    return high
